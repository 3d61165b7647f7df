import type { IncomingMessage } from 'node:http'
import type { ErrorCode, ProxyError } from '../errors.ts'
import type { ReplayOutcome } from '../tokens/token-source.ts'

/** How the conversation with the caller ended. */
export type Ending =
  /** The whole answer went out, the upstream's or our own. */
  | 'answered'
  /** The caller closed its connection first. */
  | 'caller-left'
  /** The answer broke off: the upstream failed in its middle, or the caller read too slowly. */
  | 'broken-off'

/** What one request came to, for metrics and the access log. Holds no query, no header value but the trace id, no subject. */
export class RequestRecord {
  readonly #request: IncomingMessage
  readonly #ids: () => string
  readonly #startedAt: number
  #requestId: string | undefined

  /** The route's label; undefined when the request was refused before a route was found. */
  route: string | undefined = undefined
  /** Of the answer as sent; 499 when the caller left before any. */
  status = 0
  ending: Ending = 'answered'
  /** Milliseconds until the end of the answer. */
  durationMs = 0
  /** Milliseconds between sending and the head of the last answer; undefined when nothing was sent or nothing came. */
  upstreamMs: number | undefined = undefined
  /** Requests that went to the upstream for this one, without the client's own retry. */
  attempts = 0
  /** True when the request waited for a token endpoint. */
  refreshed = false
  replay: ReplayOutcome | undefined = undefined
  /** The answer was our own, or the reason why one broke off; its `cause` is for logs only. */
  error: ProxyError | undefined = undefined

  constructor(request: IncomingMessage, ids: () => string, now: number) {
    this.#request = request
    this.#ids = ids
    this.#startedAt = now
  }

  finish(now: number): void {
    this.durationMs = now - this.#startedAt
  }

  /** Short and random, made when first asked for; nothing is ever taken from the caller. */
  get requestId(): string {
    return (this.#requestId ??= this.#ids())
  }

  get method(): string {
    return this.#request.method ?? ''
  }

  /** The path of the request target: no query, and nothing of the authority of an absolute one, which may hold a password. */
  get path(): string {
    const target = originalTarget(this.#request)
    const query = target.indexOf('?')
    const path = query === -1 ? target : target.slice(0, query)
    return path.charCodeAt(0) === 0x2f || path === '*' ? path : (/^[^/]*:\/\/[^/]*(\/.*)/s.exec(path)?.[1] ?? '/')
  }

  /** The caller's traceparent field, which goes upstream as it came (W3C Trace Context section 3.2). */
  get traceparent(): string | undefined {
    const value = this.#request.headers['traceparent']
    return typeof value === 'string' && /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}/.test(value) ? value : undefined
  }

  get traceId(): string | undefined {
    return this.traceparent?.slice(3, 35)
  }

  get errorCode(): ErrorCode | undefined {
    return this.error?.code
  }

  get remoteAddress(): string | undefined {
    return this.#request.socket.remoteAddress
  }
}

/** The request target as the caller wrote it: Fastify keeps it in originalUrl once a rewriteUrl has put its own in place. */
export function originalTarget(request: IncomingMessage & { originalUrl?: string }): string {
  return request.originalUrl ?? request.url ?? ''
}
