/**
 * The whole error surface on one screen: every answer that is our own, with its status and the next step.
 * Anything that is not a ProxyError is a fault of ours and is answered `internal_error`.
 */

interface Problem {
  readonly status: number
  readonly title: string
  /** What the person who reads the answer can do; never an address, a token or a key. */
  readonly hint: string
}

const problems = {
  host_not_allowed: {
    status: 403,
    title: 'Host not allowed',
    hint: 'Call the sidecar as localhost, or add the name to proxy.allowedHosts.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'Origin not allowed',
    hint: 'Browsers are refused unless their origin is listed in proxy.allowedOrigins.',
  },
  caller_secret_required: {
    status: 403,
    title: 'Caller secret required',
    hint: 'Send the value of proxy.callerSecret in the Bearer-Sidecar-Secret header.',
  },
  path_not_allowed: {
    status: 403,
    title: 'Path not allowed',
    hint: "The route's allowPaths does not include this path.",
  },
  route_not_found: {
    status: 404,
    title: 'No route',
    hint: 'No configured route has a prefix of this path; see routes[].path.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    hint: "The method is not forwarded; see the route's allowMethods. CONNECT and TRACE never are.",
  },
  bad_request: {
    status: 400,
    title: 'Bad request',
    hint: 'Send a well-formed HTTP/1.1 request whose path stays inside its route.',
  },
  request_timeout: {
    status: 408,
    title: 'Request timeout',
    hint: 'The request arrived too slowly; see proxy.timeouts.',
  },
  expectation_failed: {
    status: 417,
    title: 'Expectation failed',
    hint: 'Only "Expect: 100-continue" is understood; remove the header.',
  },
  headers_too_large: {
    status: 431,
    title: 'Request header fields too large',
    hint: 'Send fewer or shorter header fields.',
  },
  upgrade_not_allowed: {
    status: 426,
    title: 'Upgrade not allowed',
    hint: 'Set websocket: true on the route to carry WebSocket connections.',
  },
  subject_required: {
    status: 400,
    title: 'Subject required',
    hint: "Send the header named by the credential's subjectHeader.",
  },
  login_required: { status: 503, title: 'Login required', hint: 'Nobody has logged in yet.' },
  reauthorization_required: {
    status: 503,
    title: 'Re-authorization required',
    hint: 'The provider no longer accepts the grant: a person must log in again.',
  },
  token_endpoint_unavailable: {
    status: 503,
    title: 'Token endpoint unavailable',
    hint: 'No new token could be had from the token endpoint; this is retried by itself. For the reason run: bearer-sidecar status, or open / on the admin port.',
  },
  store_unavailable: {
    status: 503,
    title: 'Token store unavailable',
    hint: 'No new token could be had because the token store cannot be used; this is retried by itself. For the reason run: bearer-sidecar status, or open / on the admin port.',
  },
  rate_limited: {
    status: 429,
    title: 'Rate limited',
    hint: "The route's rateLimit is used up; try again after Retry-After seconds.",
  },
  upstream_unreachable: {
    status: 502,
    title: 'Upstream unreachable',
    hint: 'The upstream refused or dropped the connection; run: bearer-sidecar check --online',
  },
  upstream_tls_error: {
    status: 502,
    title: 'Upstream TLS error',
    hint: 'No TLS connection: mostly a certificate that could not be verified; see the log, routes[].tls and NODE_EXTRA_CA_CERTS.',
  },
  upstream_protocol_error: {
    status: 502,
    title: 'Upstream protocol error',
    hint: 'The upstream did not answer with valid HTTP.',
  },
  upstream_timeout: {
    status: 504,
    title: 'Upstream timeout',
    hint: 'The upstream did not answer in time; see proxy.timeouts.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    hint: 'This is a fault of the sidecar; please report it with the request id.',
  },
} as const satisfies Record<string, Problem>

export type ErrorCode = keyof typeof problems

export interface ProxyErrorOptions {
  /** One or two sentences for the caller. Must be safe to show: no address of upstream or token endpoint, no secret. */
  readonly detail?: string
  /** Seconds for the Retry-After field. */
  readonly retryAfter?: number
  /** The reason for the log; never shown to the caller. */
  readonly cause?: unknown
  readonly allow?: readonly string[] | undefined
}

/** An error that the caller is told about as RFC 9457 problem+json. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ErrorCode
  readonly statusCode: number
  readonly title: string
  readonly detail: string
  readonly retryAfter: number | undefined
  /** For method_not_allowed: what the route forwards, where it names its own methods. */
  readonly allow: readonly string[] | undefined

  constructor(code: ErrorCode, options: ProxyErrorOptions = {}) {
    const problem = problems[code]
    const detail = options.detail ?? problem.hint
    super(`${code}: ${detail}`, { cause: options.cause })
    this.code = code
    this.statusCode = problem.status
    this.title = problem.title
    this.detail = detail
    this.retryAfter = options.retryAfter
    this.allow = options.allow
  }
}

/** The document of RFC 9457 section 3 with our two extension members, `code` and `requestId`. */
export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly requestId: string
}

export function problemDocument(error: ProxyError, requestId: string): ProblemDocument {
  return {
    type: `urn:bearer-sidecar:error:${error.code}`,
    title: error.title,
    status: error.statusCode,
    detail: error.detail,
    code: error.code,
    requestId,
  }
}

/** Every code with its status, title and hint, for docs/errors.md and its test. */
export const problemCatalogue: Readonly<Record<ErrorCode, Problem>> = problems

/** Text of an unknown error with the causes beneath it, for logs. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let current: unknown = error
  for (let depth = 0; depth < 4 && current !== undefined && current !== null; depth++) {
    const text =
      current instanceof Error
        ? current.message || current.name
        : typeof current === 'string'
          ? current
          : 'unknown error'
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text)
    current = current instanceof Error ? current.cause : undefined
  }
  return parts.map((part, index) => (index < parts.length - 1 ? part.replace(/\.$/, '') : part)).join(': ')
}
