import type { Exchange, ReceivedBody } from './http.ts'

/** An error answer of a token endpoint (RFC 6749 section 5.2). */
export class OAuthError extends Error {
  override name = 'OAuthError'
  readonly error: string
  /** Which of the causes of `error` it was, for providers that word them apart. */
  readonly reason: string
  readonly status: number

  constructor(error: string, reason: string, status = 400) {
    super(`${error}: ${reason}`)
    this.error = error
    this.reason = reason
    this.status = status
  }
}

/** One call of a token endpoint, read. */
export interface TokenRequest {
  exchange: Exchange
  params: ReadonlyMap<string, string>
  /** The presented refresh token must stay good because a fault will damage the answer. */
  spare: boolean
}

/** The parameters of a form (and, where the provider takes them there, of the query string); each at most once. */
export function readForm(exchange: Exchange, body: ReceivedBody, queryToo: boolean): Map<string, string> {
  const type = exchange.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (body.bytes > 0 && type !== 'application/x-www-form-urlencoded') {
    throw new OAuthError('invalid_request', 'The body must be application/x-www-form-urlencoded.')
  }
  const params = new Map<string, string>()
  const sources = [new URLSearchParams(body.head.toString('utf8')), ...(queryToo ? [exchange.query] : [])]
  for (const [name, value] of sources.flatMap((source) => [...source])) {
    if (params.has(name)) throw new OAuthError('invalid_request', `The ${name} parameter was sent more than once.`)
    params.set(name, value)
  }
  return params
}

/** The string members of a JSON object. */
export function readJson(exchange: Exchange, body: ReceivedBody): Map<string, string> {
  if (exchange.header('content-type')?.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    throw new OAuthError('invalid_request', 'The body must be application/json.', 415)
  }
  let value: unknown
  try {
    value = JSON.parse(body.head.toString('utf8'))
  } catch {
    throw new OAuthError('invalid_request', 'The body is not JSON.')
  }
  const entries = typeof value === 'object' && value !== null ? Object.entries(value as Record<string, unknown>) : []
  return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/** The value of a parameter that must be there. */
export function required(params: ReadonlyMap<string, string>, name: string): string {
  const value = params.get(name)
  if (value === undefined || value === '') throw new OAuthError('invalid_request', `The ${name} parameter is missing.`)
  return value
}
