import type { CredentialConfig } from '../config/schema.ts'
import { TokenSet } from '../tokens/token-set.ts'
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

/** Errors that providers send instead of RFC 6749's word. HubSpot: {"status":"BAD_REFRESH_TOKEN"}. */
const synonyms: Readonly<Record<string, FatalError>> = { BAD_REFRESH_TOKEN: 'invalid_grant' }

/**
 * Judges the answer to a token request: pure, tolerant of what providers really send (docs/token-answers.md has the table), and
 * never trusting a status alone.
 */
export async function judgeTokenAnswer(
  config: CredentialConfig,
  answer: TokenHttpAnswer,
  now: number,
): Promise<TokenOutcome> {
  const byCredential = config.clientAuthentication.startsWith('credential:')
  const transient = (message: string): TokenOutcome => {
    const retryAfter = parseRetryAfter(answer.retryAfter, now)
    return { kind: 'transient', message, sent: true, ...(retryAfter !== undefined && { retryAfter }) }
  }
  if (answer.status >= 300 && answer.status < 400) {
    return transient(
      `The token endpoint answered ${answer.status}, a redirect, which is never followed; check tokenUrl.`,
    )
  }
  if (answer.tooLarge) return transient('The token endpoint answered more than 64 KiB; the answer was not used.')
  const body = await parseTokenBody(answer.body, config.tokenResponse.format)
  const ok = answer.status >= 200 && answer.status < 300
  const error = body && (ok ? text(body['error']) : errorCode(body))
  if (body !== undefined && error !== undefined && answer.status < 500) {
    const fatal = fatalError(error)
    if (fatal !== undefined) return { kind: 'fatal', error: fatal, message: describe(fatal, body) }
    if (byCredential && answer.status === 401) return { kind: 'authorizer-rejected' }
    const outcome = transient(`The token endpoint answered ${answer.status} ${describe(error, body)}`)
    return outcome.kind === 'transient' ? { ...outcome, error } : outcome
  }
  if (!ok) {
    if (byCredential && answer.status === 401) return { kind: 'authorizer-rejected' }
    return transient(`The token endpoint answered ${answer.status}.`)
  }
  if (body === undefined)
    return transient(`The token endpoint answered ${answer.status} with a body that is no token response.`)
  return (
    readTokens(config, body, now) ??
    transient(`The token endpoint answered ${answer.status} without a usable access token.`)
  )
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
  const accessLife = life(fields.expiresIn)
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
    return number > 1e11 ? number : number * 1000
  }
  const parsed = typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isNaN(parsed) ? undefined : parsed
}

/** Milliseconds of a Retry-After field (RFC 9110 section 10.2.3), cut to ten minutes. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const wait = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), longestRetryAfter) : undefined
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

function errorCode(body: TokenBody): string | undefined {
  const code = text(body['error']) ?? text(body['errorCode']) ?? text(body['code'])
  if (code !== undefined) return code
  const status = text(body['status'])
  return status !== undefined && status in synonyms ? status : undefined
}

function fatalError(code: string): FatalError | undefined {
  if (code === 'invalid_grant' || code === 'invalid_client' || code === 'unauthorized_client') return code
  return synonyms[code]
}

/** The provider's words, made safe to show: printable, short, and without anything that looks like a token. */
function describe(error: string, body: TokenBody): string {
  const description = text(body['error_description']) ?? text(body['message'])
  return description === undefined ? clean(error) : `${clean(error)}: ${clean(description)}`
}

const clean = (words: string) =>
  words
    .replace(/[^\x20-\x7e]+/g, ' ')
    .replace(/[\w+/.=~-]{20,}/g, '[…]')
    .slice(0, 200)
