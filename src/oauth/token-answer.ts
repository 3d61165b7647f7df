import type { CredentialConfig } from '../config/schema.ts'
import type { ProxyError } from '../errors.ts'
import { refreshTokenOnly, TokenSet } from '../tokens/token-set.ts'
import { parseTokenBody, type TokenBody } from './token-body.ts'

/** What one token request came to. Failures are values: the token manager decides what they mean for the grant. */
export type TokenOutcome =
  | { readonly kind: 'success'; readonly tokens: TokenSet }
  /** No usable access token, but a refresh token that replaces the one sent: losing it would end the grant. */
  | { readonly kind: 'refresh-token-only'; readonly refreshToken: string; readonly message: string }
  /** The provider refused for good (RFC 6749 section 5.2). */
  | { readonly kind: 'fatal'; readonly error: FatalError; readonly message: string }
  /** Everything else. `sent` is false when the request surely did not reach the provider. `retryAfter` in milliseconds. */
  | {
      readonly kind: 'transient'
      readonly message: string
      readonly sent: boolean
      readonly error?: string
      readonly retryAfter?: number
      /** Another credential, whose token authorises this request, has none to give. */
      readonly blockedBy?: ProxyError | undefined
    }
  /** The bearer of another credential that authorised this request was refused. */
  | { readonly kind: 'authorizer-rejected' }

export type FatalError = 'invalid_grant' | 'invalid_client' | 'unauthorized_client'

export interface TokenHttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly retryAfter: string | undefined
  /** At most the first 64 KiB. */
  readonly body: string
  readonly tooLarge: boolean
}

/** A life of ten years is as good as any longer one, and keeps every sum far from the ends of the number line. */
const longestLife = 10 * 365 * 86_400_000
const longestRetryAfter = 10 * 60_000

/** The last millisecond of the year 9999: later ones have no place in ISO 8601. */
const latestInstant = Date.parse('9999-12-31T23:59:59.999Z')

/** Errors that end a grant, in lower case, and what providers send instead of RFC 6749's word. HubSpot: {"status":"BAD_REFRESH_TOKEN"}. */
const fatalErrors: ReadonlyMap<string, FatalError> = new Map([
  ['invalid_grant', 'invalid_grant'],
  ['invalid_client', 'invalid_client'],
  ['unauthorized_client', 'unauthorized_client'],
  ['bad_refresh_token', 'invalid_grant'],
])

const fatalError = (code: string | undefined) => (code === undefined ? undefined : fatalErrors.get(code.toLowerCase()))

/**
 * Judges the answer to a token request: pure, tolerant of what providers really send (docs/token-answers.md has the table), and
 * never trusting a status alone. `secrets` are what was sent: an answer that repeats them is not repeated.
 */
export async function judgeTokenAnswer(
  config: CredentialConfig,
  answer: TokenHttpAnswer,
  now: number,
  secrets: readonly string[] = [],
): Promise<TokenOutcome> {
  const { status } = answer
  const transient = (message: string): Extract<TokenOutcome, { kind: 'transient' }> => {
    const retryAfter = parseRetryAfter(answer.retryAfter, now)
    return { kind: 'transient', message, sent: true, ...(retryAfter !== undefined && { retryAfter }) }
  }
  if (status >= 300 && status < 400) {
    return transient(`The token endpoint answered ${status}, a redirect, which is never followed; check tokenUrl.`)
  }
  if (answer.tooLarge) return transient('The token endpoint answered more than 64 KiB; the answer was not used.')
  const body = await parseTokenBody(answer.body, config.tokenResponse.format)
  const ok = status >= 200 && status < 300
  const error = body && errorCode(body, ok)
  const fatal = status < 500 ? fatalError(error) : undefined
  // Where another credential's token authorises the request, a 401 is about that token unless the grant itself is named.
  if (status === 401 && config.clientAuthentication.startsWith('credential:') && fatal !== 'invalid_grant') {
    return { kind: 'authorizer-rejected' }
  }
  if (body !== undefined && error !== undefined && status < 500) {
    const words = describe(fatal ?? error, body, secrets)
    if (fatal !== undefined) return { kind: 'fatal', error: fatal, message: words }
    return { ...transient(`The token endpoint answered ${status} ${words}`), error }
  }
  if (!ok) return transient(`The token endpoint answered ${status}.`)
  if (body === undefined) {
    return transient(`The token endpoint answered ${status} with a body that is no token response.`)
  }
  return (
    readTokens(config, body, now) ?? transient(`The token endpoint answered ${status} without a usable access token.`)
  )
}

/** The tokens of an answer to a login: also a refresh token alone is worth keeping. undefined when it brought none. */
export function tokensOf(outcome: TokenOutcome, now: number): TokenSet | undefined {
  if (outcome.kind === 'success') return outcome.tokens
  return outcome.kind === 'refresh-token-only' ? refreshTokenOnly(outcome.refreshToken, now) : undefined
}

/** Reads a token response in the provider's own field names; undefined when it holds no token that could be used. */
export function readTokens(config: CredentialConfig, body: TokenBody, now: number): TokenOutcome | undefined {
  const { fields } = config.tokenResponse
  const accessToken = text(body[fields.accessToken])
  const refreshToken = fields.refreshToken === null ? undefined : text(body[fields.refreshToken])
  const life = (name: string | null) => (name === null ? undefined : lifetime(body[name]))
  // RFC 6750 section 2.1: anything outside visible ASCII could not be sent in a header field.
  if (accessToken === undefined || !/^[\x21-\x7e]+$/.test(accessToken)) {
    if (refreshToken === undefined) return undefined
    const message = 'The token endpoint answered a new refresh token but no usable access token.'
    return { kind: 'refresh-token-only', refreshToken, message }
  }
  const accessLife = life(fields.expiresIn) ?? config.refresh.accessTokenLifetime ?? undefined
  const absolute = fields.expiresAt === null ? undefined : instant(body[fields.expiresAt])
  const refreshLife = life(fields.refreshExpiresIn) ?? config.refresh.refreshTokenLifetime ?? undefined
  return {
    kind: 'success',
    tokens: new TokenSet({
      accessToken,
      refreshToken,
      issuedAt: now,
      expiresAt:
        absolute !== undefined && absolute > now
          ? Math.min(absolute, now + longestLife)
          : accessLife && now + accessLife,
      refreshIssuedAt: refreshToken === undefined ? undefined : now,
      refreshExpiresAt: refreshLife && now + refreshLife,
      scope: text(body['scope']),
    }),
  }
}

/** Milliseconds of an expires_in; a number or digits. Zero, negative or unreadable = unknown: only a rejection will tell. */
export function lifetime(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return undefined
  return Math.min(seconds * 1000, longestLife)
}

/** Milliseconds since the epoch of seconds, milliseconds or an ISO 8601 time. */
export function instant(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  if (typeof number === 'number') {
    if (!Number.isFinite(number) || number <= 0) return undefined
    return Math.min(number > 1e11 ? number : number * 1000, latestInstant)
  }
  const parsed = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isNaN(parsed) ? undefined : Math.min(Math.max(parsed, 0), latestInstant)
}

/** Milliseconds of a Retry-After field (RFC 9110 section 10.2.3), cut to ten minutes. */
function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const wait = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), longestRetryAfter) : undefined
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

/** With a status of success, members that may mean something else beside tokens are no error: the tokens would be lost. */
function errorCode(body: TokenBody, ok: boolean): string | undefined {
  const code = text(body['error'])
  if (code !== undefined) return code
  const nested = text(nestedError(body)?.['code'])
  const status = text(body['status'])
  if (ok) return fatalError(nested) && nested
  return nested ?? text(body['errorCode']) ?? text(body['code']) ?? (fatalError(status) && status)
}

/** {"error":{"code":"invalid_grant","message":"..."}} */
function nestedError({ error }: TokenBody): TokenBody | undefined {
  return typeof error === 'object' && error !== null ? (error as TokenBody) : undefined
}

/** The provider's words, made safe to show: printable, short, and without anything that is or looks like a token. */
function describe(error: string, body: TokenBody, secrets: readonly string[]): string {
  const clean = (words: string) =>
    [...secrets, ...secrets.map(encodeURIComponent)]
      .filter((secret) => secret.length >= shortestSecret)
      .reduce((rest, secret) => rest.replaceAll(secret, hidden), words)
      .replace(/[^\x20-\x7e]+/g, ' ')
      .replace(/[\w+/.=~-]{20,}/g, (run) => (errorWord.test(run) ? run : hidden))
      .slice(0, 200)
  const description = text(body['error_description']) ?? text(body['message']) ?? text(nestedError(body)?.['message'])
  return description === undefined ? clean(error) : `${clean(error)}: ${clean(description)}`
}

const hidden = '[...]'

/** Such as unsupported_grant_type or account_selection_required: no token is made of small letters alone. */
const errorWord = /^[a-z_]{1,40}\.?$/

/** A client secret such as "demo" would hide half of the words and is none. */
const shortestSecret = 6
