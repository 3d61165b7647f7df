import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { describeError, ProxyError } from '../errors.ts'
import type { TokenSource } from '../tokens/token-source.ts'
import type { TokenSet } from '../tokens/token-set.ts'
import { ConnectError, UpstreamError } from '../upstream/upstream.ts'
import { ask } from '../upstream/whole-answer.ts'
import { judgeTokenAnswer, type TokenHttpAnswer, type TokenOutcome } from './token-answer.ts'
import { parseTokenBody, type TokenBody } from './token-body.ts'
import { authenticatedForm, tokenHttpRequest, type TokenGrant, type TokenHttpRequest } from './token-request.ts'

const bodyLimit = 64 * 1024

/** The token endpoint of one credential. Sends exactly one POST per request and never follows a redirect. */
export class TokenEndpoint {
  readonly #config: CredentialConfig
  readonly #clock: Clock
  /** The credential whose token authorises our requests, for clientAuthentication credential:<name>. */
  readonly #authorizer: TokenSource | undefined

  constructor(config: CredentialConfig, clock: Clock, authorizer?: TokenSource) {
    this.#config = config
    this.#clock = clock
    this.#authorizer = authorizer
  }

  /** Never rejects for what the provider, the network or the authorising credential did. */
  async request(grant: TokenGrant): Promise<TokenOutcome> {
    if (this.#authorizer === undefined) return this.#attempt(grant, undefined)
    let bearer: TokenSet
    try {
      bearer = await this.#authorizer.token(this.#config.refresh.timeout)
    } catch (error) {
      const message = `Credential ${this.#authorizer.credential}, whose token authorises this request, has none: ${describeError(error)}`
      return { kind: 'transient', sent: false, message, blockedBy: error instanceof ProxyError ? error : undefined }
    }
    return this.#authorizedAttempt(grant, bearer, this.#authorizer)
  }

  /** A refusal of the other credential's token says that ours was not spent: that one is renewed, and the request made once more. */
  async #authorizedAttempt(grant: TokenGrant, bearer: TokenSet, authorizer: TokenSource): Promise<TokenOutcome> {
    const outcome = await this.#attempt(grant, bearer)
    if (outcome.kind !== 'authorizer-rejected') return outcome
    const renewed = await renewedToken(authorizer, bearer)
    const second = renewed && (await this.#attempt(grant, renewed))
    if (second !== undefined && second.kind !== 'authorizer-rejected') return second
    if (renewed !== undefined) authorizer.distrust(renewed)
    const message = `The token endpoint refused the token of ${authorizer.credential}, which authorises this request.`
    return { kind: 'transient', sent: false, message }
  }

  async #attempt(grant: TokenGrant, bearer: TokenSet | undefined): Promise<TokenOutcome> {
    let answer: TokenHttpAnswer
    try {
      answer = await post(tokenHttpRequest(this.#config, grant, bearer?.accessToken), this.#config)
    } catch (error) {
      return {
        kind: 'transient',
        // A TypeError is a request that could not be written: a header of the configuration, for instance.
        sent: !(error instanceof ConnectError || error instanceof TypeError),
        message: transportMessage(error, this.#config.refresh.timeout),
      }
    }
    return judgeTokenAnswer(this.#config, answer, this.#clock.now(), secretsOf(this.#config, grant, bearer))
  }
}

async function renewedToken(source: TokenSource, rejected: TokenSet): Promise<TokenSet | undefined> {
  try {
    return await source.renew(rejected, 'always')
  } catch {
    return undefined
  }
}

function secretsOf({ clientSecret }: CredentialConfig, grant: TokenGrant, bearer: TokenSet | undefined): string[] {
  const sent = Object.entries(grant).flatMap(([name, value]) => (name === 'type' ? [] : [value]))
  return [clientSecret, bearer?.accessToken, ...sent].filter((value) => typeof value === 'string')
}

/** A form POST to another endpoint of the same authorization server, with the same client authentication. undefined = no usable answer. */
export async function postForm(
  config: CredentialConfig,
  url: string,
  params: Readonly<Record<string, string>>,
): Promise<TokenBody | undefined> {
  const answer = await post(authenticatedForm(config, url, params), config)
  return answer.tooLarge ? undefined : parseTokenBody(answer.body, 'auto')
}

async function post({ url, headers, body }: TokenHttpRequest, config: CredentialConfig): Promise<TokenHttpAnswer> {
  const { ca, cert, key } = config.tls
  const answer = await ask({
    url,
    method: 'POST',
    headers,
    body,
    tls: { ca: ca ?? undefined, cert: cert ?? undefined, key: key ?? undefined },
    timeout: config.refresh.timeout,
    limit: bodyLimit,
  })
  return {
    status: answer.status,
    contentType: answer.field('content-type') ?? '',
    retryAfter: answer.field('retry-after'),
    body: decoded(answer.body, answer.field('content-encoding')).toString('utf8'),
    tooLarge: answer.tooLarge,
  }
}

/** We ask for no content coding, but some servers use one all the same, and the token in the answer is the only copy. */
function decoded(body: Buffer, encoding: string | undefined): Buffer {
  const limit = { maxOutputLength: bodyLimit }
  switch ((encoding ?? '').trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return gunzipSync(body, limit)
    case 'deflate':
      return inflateSync(body, limit)
    case 'br':
      return brotliDecompressSync(body, limit)
    default:
      return body
  }
}

/** For operators (log, status page); not for callers: it may hold the token endpoint's address. */
function transportMessage(error: unknown, timeout: number): string {
  if (error instanceof UpstreamError && error.fault === 'timeout' && !(error instanceof ConnectError))
    return `The token endpoint did not answer within ${timeout / 1000} s.`
  return `The token endpoint could not be reached or broke off: ${describeError(error)}.`
}
