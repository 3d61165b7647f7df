import { getCACertificates } from 'node:tls'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { describeError, ProxyError } from '../errors.ts'
import type { TokenSource } from '../tokens/token-source.ts'
import type { TokenSet } from '../tokens/token-set.ts'
import { judgeTokenAnswer, type TokenHttpAnswer, type TokenOutcome } from './token-answer.ts'
import { parseTokenBody, type TokenBody } from './token-body.ts'
import { authenticatedForm, tokenHttpRequest, type TokenGrant, type TokenHttpRequest } from './token-request.ts'

const bodyLimit = 64 * 1024

/** Faults that happen before a byte of the request leaves: the refresh token was surely not spent. */
const unsentCodes = new Set([
  'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID',
]) // prettier-ignore

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
        sent: !unsentCodes.has(errorCode(error)),
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

/**
 * One POST on a connection of its own: on a reused idle one the provider may have hung up, and then nobody could tell whether the
 * one-time token was spent.
 */
async function post(request: TokenHttpRequest, config: CredentialConfig): Promise<TokenHttpAnswer> {
  const { request: send } = await import('undici')
  const dispatcher = await openDispatcher(config)
  try {
    const response = await send(request.url, {
      method: 'POST',
      headers: request.headers,
      body: request.body,
      dispatcher,
      signal: AbortSignal.timeout(config.refresh.timeout),
    })
    const field = (name: string) => {
      const value = response.headers[name]
      return Array.isArray(value) ? value[0] : value
    }
    const { body, tooLarge } = await readLimited(response.body, field('content-encoding'))
    return {
      status: response.statusCode,
      contentType: field('content-type') ?? '',
      retryAfter: field('retry-after'),
      body,
      tooLarge,
    }
  } finally {
    await dispatcher.destroy().catch(() => undefined)
  }
}

/** HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured; certificates are always verified. */
async function openDispatcher(config: CredentialConfig): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('undici')
  const { ca, cert, key } = config.tls
  const connect = {
    rejectUnauthorized: true,
    timeout: config.refresh.timeout,
    ...(ca !== null && { ca: [...getCACertificates('default'), ca] }),
    ...(cert !== null && { cert }),
    ...(key !== null && { key }),
  }
  return new EnvHttpProxyAgent({ connect, requestTls: connect, pipelining: 1 })
}

async function readLimited(
  stream: AsyncIterable<Buffer>,
  encoding: string | undefined,
): Promise<{ body: string; tooLarge: boolean }> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > bodyLimit) return { body: '', tooLarge: true }
    chunks.push(chunk)
  }
  return { body: decoded(Buffer.concat(chunks), encoding).toString('utf8'), tooLarge: false }
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

function errorCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

/** For operators (log, status page); not for callers: it may hold the token endpoint's address. */
function transportMessage(error: unknown, timeout: number): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `The token endpoint did not answer within ${timeout / 1000} s.`
  return `The token endpoint could not be reached or broke off: ${describeError(error)}.`
}
