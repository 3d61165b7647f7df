import { type ClientHttp2Stream, constants } from 'node:http2'
import { responseHead } from './http2-fields.ts'
import {
  type Exchange,
  UpstreamError,
  type UpstreamFault,
  type UpstreamHandler,
  type UpstreamRequest,
} from './upstream.ts'

/** The session, as its exchanges see it. Times are in ticks of the sweeper. */
export interface ExchangeOwner {
  readonly tick: number
  readonly headersTicks: number
  readonly bodyTicks: number
  onOver(exchange: Http2Exchange): void
  /** No answer came in time: the connection itself may be dead. */
  onSilence(): void
  /** Whether the stream ended before its request was looked at, so that it may be sent elsewhere once. */
  diedUnseen(stream: ClientHttp2Stream): boolean
  onHttp1Required(): void
}

const maxInterim = 32
const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_HTTP_1_1_REQUIRED } = constants
const http1Required =
  'the upstream wants HTTP/1.1 (HTTP_1_1_REQUIRED): it is used from now on; allowH2: false on the route uses it from the start'
/** Codes of RFC 9113 section 7 that say "this is not HTTP/2 as I know it", from either side. */
const protocolCodes = new Set<number>([
  constants.NGHTTP2_PROTOCOL_ERROR,
  constants.NGHTTP2_FLOW_CONTROL_ERROR,
  constants.NGHTTP2_STREAM_CLOSED,
  constants.NGHTTP2_FRAME_SIZE_ERROR,
  constants.NGHTTP2_COMPRESSION_ERROR,
  constants.NGHTTP2_ENHANCE_YOUR_CALM,
])

/** Whether the stream ended because one side did not understand the other, as opposed to having gone. */
export function brokeProtocol(stream: ClientHttp2Stream): boolean {
  const error: NodeJS.ErrnoException | null = stream.errored
  return protocolCodes.has(stream.rstCode) || error?.code === 'ERR_HTTP2_ERROR'
}

function faultOf(stream: ClientHttp2Stream): UpstreamFault {
  const error: NodeJS.ErrnoException | null = stream.errored
  // A TLS 1.3 server may look at a client certificate after it has begun to speak.
  if (error?.code?.startsWith('ERR_SSL_') === true) return 'tls'
  return brokeProtocol(stream) ? 'protocol' : 'unreachable'
}

/**
 * One request and its answer on one HTTP/2 stream. `onStale` sends the request once more elsewhere, or returns false. `upload` is what the stream of a body
 * in pieces was made with.
 */
export class Http2Exchange implements Exchange {
  readonly #request: UpstreamRequest
  readonly #handler: UpstreamHandler
  readonly #owner: ExchangeOwner
  readonly #stream: ClientHttp2Stream
  #over = false
  #headSeen = false
  #interim = 0
  #sent: boolean
  /** Announced bytes that are still to be written; Infinity when their number is unknown. */
  #remaining = 0
  /** Bytes of the answer that are still due, when their number is known. */
  #due: number | undefined
  #paused = false
  #everPaused = false
  #since: number
  #waiting = 0

  readonly #onStale: () => boolean
  readonly #upload: AbortController | undefined

  constructor(
    owner: ExchangeOwner,
    stream: ClientHttp2Stream,
    request: UpstreamRequest,
    handler: UpstreamHandler,
    onStale: () => boolean,
    upload: AbortController | undefined,
  ) {
    this.#request = request
    this.#upload = upload
    this.#onStale = onStale
    this.#owner = owner
    this.#stream = stream
    this.#handler = handler
    this.#since = owner.tick
    const { body } = request
    this.#sent = body === undefined || Buffer.isBuffer(body)
    if (Buffer.isBuffer(body)) stream.end(body)
    else if (body !== undefined) this.#remaining = body.length ?? Infinity
    stream.on('response', (_fields, flags, raw) => this.#onResponse(raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0))
    stream.on('headers', () => this.#onInterim())
    stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    stream.on('end', () => this.#onEnd())
    stream.on('drain', () => {
      if (!this.#over) handler.onDrain()
    })
    // Told once more by 'close', with a code.
    stream.on('error', () => undefined)
    stream.on('close', () => this.#onClose())
  }

  #onInterim(): void {
    if (++this.#interim > maxInterim) this.fail(new UpstreamError('protocol', 'too many interim answers'))
  }

  #onResponse(raw: readonly string[], endStream: boolean): void {
    if (this.#over) return
    const head = responseHead(this.#request.method, raw, endStream)
    if (typeof head === 'string') {
      this.fail(new UpstreamError('protocol', `malformed answer: ${head}`))
      return
    }
    this.#headSeen = true
    this.#since = this.#owner.tick
    this.#due = head.hasBody ? head.length : 0
    this.#handler.onHead(head)
  }

  #onData(chunk: Buffer): void {
    if (this.#over || chunk.length === 0) return
    this.#since = this.#owner.tick
    if (this.#due !== undefined && (this.#due -= chunk.length) < 0) {
      this.fail(new UpstreamError('protocol', 'more body than announced'))
    } else if (!this.#handler.onData(chunk)) {
      this.#paused = this.#everPaused = true
      this.#stream.pause()
    }
  }

  #onEnd(): void {
    // Node ends the readable side of a stream that was reset, too. One that is closed before it ended was cut off, unless a pause has put off its end;
    // of those only a reset without an error code and without a Content-Length cannot be told apart.
    const cut = this.#stream.rstCode !== 0 || (this.#stream.closed && !this.#everPaused)
    if (this.#over || !this.#headSeen || cut) return
    if ((this.#due ?? 0) > 0) {
      this.fail(new UpstreamError('protocol', 'the answer ended before its end'))
      return
    }
    this.#finish()
    // RFC 9113 section 8.1: a complete answer may come before the request is; the rest is not wanted.
    if (!this.#sent || !this.#stream.writableFinished) this.#reset()
    this.#handler.onEnd()
  }

  #onClose(): void {
    if (this.#over) return
    const stream = this.#stream
    const wantsHttp1 = stream.rstCode === NGHTTP2_HTTP_1_1_REQUIRED
    if (wantsHttp1) this.#owner.onHttp1Required()
    if (!this.#headSeen && this.#interim === 0 && (wantsHttp1 || this.#owner.diedUnseen(stream))) {
      this.#finish()
      if (this.#onStale()) return
      this.#handler.onError(
        wantsHttp1
          ? new UpstreamError('protocol', http1Required, stream.errored)
          : new UpstreamError('unreachable', 'the upstream refused the request', stream.errored),
      )
      return
    }
    this.fail(new UpstreamError(faultOf(stream), `the stream was closed, code ${stream.rstCode}`, stream.errored))
  }

  write(chunk: Buffer): boolean {
    if (this.#over || this.#sent || chunk.length === 0) return true
    this.#remaining -= chunk.length
    if (this.#remaining < 0) {
      this.#refuse('more body bytes than announced')
      return true
    }
    return this.#stream.write(chunk)
  }

  end(): void {
    if (this.#over || this.#sent) return
    if (this.#remaining > 0 && this.#remaining !== Infinity) {
      this.#refuse('fewer body bytes than announced')
      return
    }
    this.#sent = true
    this.#since = this.#owner.tick
    this.#stream.end()
  }

  #refuse(reason: string): void {
    process.nextTick(() => this.fail(new UpstreamError('protocol', reason)))
  }

  resume(): void {
    if (!this.#paused || this.#over) return
    this.#paused = false
    this.#since = this.#owner.tick
    this.#stream.resume()
  }

  abort(): void {
    if (this.#over) return
    this.#finish()
    this.#reset()
  }

  fail(error: UpstreamError): void {
    if (this.#over) return
    this.#finish()
    this.#reset()
    this.#handler.onError(error)
  }

  /** Resets the stream with CANCEL. Node's close() ends the request first, so that half a body would look like a whole one. */
  #reset(): void {
    if (this.#sent) this.#stream.close(NGHTTP2_CANCEL)
    else this.#upload?.abort()
  }

  #finish(): void {
    this.#over = true
    this.#owner.onOver(this)
  }

  sweep(): void {
    const { tick, headersTicks, bodyTicks } = this.#owner
    const silent = tick - this.#since
    if (this.#paused) return
    if (this.#headSeen) {
      if (silent >= bodyTicks) this.fail(new UpstreamError('timeout', 'the answer stopped coming'))
    } else if (!this.#sent || this.#stream.writableLength > 0) {
      const waiting = this.#stream.writableLength
      if (waiting === 0 || waiting !== this.#waiting) this.#since = tick
      else if (silent >= bodyTicks) this.fail(new UpstreamError('timeout', 'the upstream stopped taking the request'))
      this.#waiting = waiting
    } else if (silent >= headersTicks) {
      this.#owner.onSilence()
      this.fail(new UpstreamError('timeout', 'no answer in time'))
    }
  }
}
