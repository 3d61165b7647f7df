/** One exchange with an upstream: send one request, get one answer. The seam between proxy/ and the HTTP client. */
export interface UpstreamRequest {
  readonly method: string
  /** The request target as it goes on the wire (origin-form), one char per byte. */
  readonly target: string
  /**
   * Flat list name, value, name, value..., one char per byte, Host first, in the order in which it is sent.
   * Holds no framing or connection field: Content-Length and Transfer-Encoding are written by the client from `body`.
   */
  readonly headers: readonly string[]
  readonly body: UpstreamBody
}

export type UpstreamBody =
  /** No body and no framing field. */
  | undefined
  /** The whole body (an empty one is sent with Content-Length: 0); head and body leave in one write. */
  | Buffer
  /** Pieces follow through Exchange.write() and end(); chunked when `length` is undefined. */
  | { readonly length: number | undefined }

export interface UpstreamHead {
  readonly status: number
  readonly statusText: string
  /** Flat list as received, in its order and spelling, one char per byte; framing and connection fields still in it. */
  readonly headers: readonly string[]
  /** Bytes that the body will have when the upstream said so and one is due; undefined for chunked or until close. */
  readonly length: number | undefined
  /** False when this answer has no body (HEAD, 204, 304). */
  readonly hasBody: boolean
}

/** Called in the order head, data..., end; or at any point error, after which nothing comes. Never called synchronously from send(). */
export interface UpstreamHandler {
  /** The final answer's head; 1xx answers are not reported. */
  onHead(head: UpstreamHead): void
  /** Return false to stop reading until Exchange.resume(). The chunk may be kept. */
  onData(chunk: Buffer): boolean
  onEnd(): void
  onError(error: UpstreamError): void
  /** After a write() that returned false: more may be written now. */
  onDrain(): void
}

export interface Exchange {
  /** A piece of a body that was announced as { length }. Returns false when the caller should wait for onDrain. */
  write(chunk: Buffer): boolean
  /** The announced body is complete. */
  end(): void
  /** After onData returned false. */
  resume(): void
  /** Gives up: the connection is closed, no handler is called any more. No effect after onEnd or onError. */
  abort(): void
}

export interface Upstream {
  /**
   * Sends once. The only second try: a request without a body and with an idempotent method (RFC 9110 section 9.2.2) whose reused idle
   * connection died before any byte of an answer goes out once more, on a new connection.
   * Throws a TypeError, and sends nothing, for a request that could not become one well-formed message: see request-check.ts.
   */
  send(request: UpstreamRequest, handler: UpstreamHandler): Exchange
  /** Lets running exchanges finish, closes idle connections. */
  close(): Promise<void>
}

/** What callers take themselves: Node's and others' limit for a head, in bytes. */
export const usualHead = 16 * 1024

export interface UpstreamOptions {
  /** Origin: scheme, host and port; the path of the URL is not used. */
  readonly origin: URL
  /** PEM texts; certificates are always verified. */
  readonly tls: {
    readonly ca?: string | undefined
    readonly cert?: string | undefined
    readonly key?: string | undefined
  }
  /** Milliseconds. */
  readonly connectTimeout: number
  /** Milliseconds from the last byte of the request to the head of the answer. */
  readonly headersTimeout: number
  /** Milliseconds between two pieces of an answer, paused time not counted. */
  readonly bodyTimeout: number
  /** Bytes that the head of an answer may have; default usualHead. Larger ones are a protocol fault. */
  readonly maxHead?: number
  /** Offer HTTP/2 by ALPN beside HTTP/1.1. */
  readonly allowH2: boolean
  /** http:// or https:// URL of an egress proxy for this origin (from HTTPS_PROXY / HTTP_PROXY / NO_PROXY), or undefined. */
  readonly egressProxy: URL | undefined
}

/** unreachable: refused, reset, DNS. tls: certificate or handshake. protocol: not HTTP, or broken framing. timeout: see UpstreamOptions. */
export type UpstreamFault = 'unreachable' | 'tls' | 'protocol' | 'timeout'

/** `message` may hold the upstream's address: it is for the log only. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  readonly fault: UpstreamFault

  constructor(fault: UpstreamFault, message: string, cause?: unknown) {
    super(message, { cause })
    this.fault = fault
  }
}

/** There was no connection: no byte of the request has left. */
export class ConnectError extends UpstreamError {}
