import type { Socket } from 'node:net'
import type { Connector, ConnectListener } from './connector.ts'
import type { Carrier, Http1Exchange } from './http1-exchange.ts'
import { Http1Parser } from './http1-parser.ts'
import { SocketReader } from './socket-reader.ts'
import { UpstreamError, type UpstreamHead } from './upstream.ts'

/** The pool, as its connections see it. Times are in ticks of the pool's sweeper, maxHead in bytes. */
export interface ConnectionOwner {
  readonly tick: number
  readonly headersTicks: number
  readonly bodyTicks: number
  readonly maxHead: number
  /** After this an idle connection is not kept, so that a changed address of the upstream is noticed. */
  readonly maxAgeTicks: number
  /** Ticks that an unused connection is kept; shorter when the upstream said so with `Keep-Alive: timeout=` (seconds). */
  idleTicks(announced: number | undefined): number
  /** The connection can carry another exchange. Returns false when it is not wanted. */
  onIdle(connection: Http1Connection): boolean
  onGone(connection: Http1Connection): void
  /** The exchange's idle connection died unseen: it gets its one second try. */
  onStale(exchange: Http1Exchange): void
}

/** How a connection ends that was closed by the upstream or the network, not by a broken answer. */
const deaths = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** One HTTP/1.1 connection: at most one exchange at a time, no pipelining. */
export class Http1Connection implements Carrier, ConnectListener {
  readonly #owner: ConnectionOwner
  readonly #parser: Http1Parser
  readonly #reader: SocketReader
  #socket: Socket | undefined
  #cancelConnect: (() => void) | undefined
  #exchange: Http1Exchange | undefined
  /** Exchanges begun on this connection. */
  #served = 0
  /** Set with the first byte that came for the running exchange. */
  #answered = false
  #headSeen = false
  /** The tick of the last thing that a time-out counts from. */
  #since = 0
  #idleTicks = 0
  #born = 0
  /** Bytes that had left at the last sweep of an upload. */
  #flushed = 0

  constructor(owner: ConnectionOwner) {
    this.#owner = owner
    this.#parser = new Http1Parser(owner.maxHead)
    this.#reader = new SocketReader(
      (buffer, length, copy) => this.#consume(buffer, length, copy),
      () => this.#onFin(),
    )
  }

  /** Opens a connection for `exchange`. */
  open(connector: Connector, exchange: Http1Exchange): void {
    this.#exchange = exchange
    exchange.carrier = this
    const onread = connector.readsIntoBuffer ? this.#reader.onread(connector.origin.secure) : undefined
    this.#cancelConnect = connector.connect(['http/1.1'], onread, this)
  }

  onConnect(socket: Socket): void {
    this.#cancelConnect = undefined
    this.adopt(socket)
    const exchange = this.#exchange
    if (exchange !== undefined) this.start(exchange)
  }

  onConnectError(error: UpstreamError): void {
    this.fail(error)
  }

  /** Takes over a connected socket. */
  adopt(socket: Socket): void {
    this.#socket = socket
    this.#born = this.#owner.tick
    this.#reader.attach(socket)
    socket.on('drain', () => this.#exchange?.onDrain())
    socket.on('error', (error) => this.#onDeath(error))
    socket.on('close', () => this.#onDeath(undefined))
  }

  /** Sends the exchange's request; the connection is connected and idle. */
  start(exchange: Http1Exchange): void {
    this.#exchange = exchange
    exchange.carrier = this
    this.#served++
    this.#answered = this.#headSeen = false
    this.#since = this.#owner.tick
    this.#parser.begin(exchange.headRequest)
    exchange.transmit(this.#socket as Socket)
  }

  onRequestSent(): void {
    if (!this.#headSeen) this.#since = this.#owner.tick
  }

  #consume(buffer: Buffer, length: number, copy: boolean): boolean {
    const parser = this.#parser
    const exchange = this.#exchange
    if (exchange === undefined) {
      // Nothing was asked: whatever it is, it must not become the answer to the next request (response-queue poisoning).
      this.#destroy()
      return false
    }
    this.#answered = true
    // Neither interim answers nor drops of a head put off the end of the wait for it.
    if (this.#headSeen) this.#since = this.#owner.tick
    let reading = true
    parser.feed(buffer, 0, length)
    for (;;) {
      switch (parser.next()) {
        case 'more':
          return reading
        case 'head':
          this.#onHead(exchange)
          break
        case 'data': {
          const piece = buffer.subarray(parser.dataStart, parser.dataEnd)
          reading = exchange.handler.onData(copy ? Buffer.from(piece) : piece)
          break
        }
        case 'complete':
          return this.#complete(exchange)
        case 'failed':
          this.fail(new UpstreamError('protocol', `malformed answer: ${parser.fault}`))
          return false
      }
      if (exchange.over) return false
    }
  }

  #onHead(exchange: Http1Exchange): void {
    const head = this.#parser.head as UpstreamHead
    this.#headSeen = true
    this.#since = this.#owner.tick
    exchange.handler.onHead(head)
    if (!exchange.over && !exchange.sent && head.status >= 400 && !this.#parser.persistent) exchange.mute()
  }

  #complete(exchange: Http1Exchange): boolean {
    const socket = this.#socket as Socket
    // A request that is not out yet would run into the next one.
    const reusable =
      this.#parser.persistent &&
      exchange.sent &&
      this.#parser.surplus === 0 &&
      !this.#reader.finished &&
      this.#reader.empty &&
      socket.writableLength === 0
    this.#exchange = undefined
    exchange.over = true
    const kept = reusable && this.rest()
    if (!kept) this.#destroy()
    exchange.handler.onEnd()
    return kept
  }

  /** Waits for another exchange; false when nobody wants the connection. */
  rest(): boolean {
    const { tick, maxAgeTicks } = this.#owner
    this.#since = tick
    this.#idleTicks = this.#owner.idleTicks(this.#parser.keepAlive)
    return this.#idleTicks > 0 && tick - this.#born < maxAgeTicks && this.#owner.onIdle(this)
  }

  resume(): void {
    if (this.#reader.paused) this.#since = this.#owner.tick
    this.#reader.resume()
  }

  /** The upstream has closed its side. */
  #onFin(): void {
    const exchange = this.#exchange
    if (exchange === undefined) this.#destroy()
    else if (!this.#answered) this.#onDeath(undefined)
    else if (this.#parser.finish() === 'complete') this.#complete(exchange)
    else this.fail(new UpstreamError('protocol', this.#parser.fault))
  }

  #onDeath(error: NodeJS.ErrnoException | undefined): void {
    const exchange = this.#exchange
    if (exchange === undefined) {
      this.#destroy()
    } else if (exchange.retryable && this.#served > 1 && !this.#answered && deaths.has(error?.code ?? 'ECONNRESET')) {
      this.#exchange = undefined
      this.#destroy()
      this.#owner.onStale(exchange)
    } else {
      // A TLS 1.3 server refuses a client certificate only after our side of the handshake is over.
      const fault = error?.code?.startsWith('ERR_SSL_') === true ? 'tls' : 'unreachable'
      this.fail(new UpstreamError(fault, 'the upstream closed the connection before its answer was complete', error))
    }
  }

  fail(error: UpstreamError): void {
    const exchange = this.#exchange
    this.abort()
    if (exchange === undefined || exchange.over) return
    exchange.over = true
    exchange.handler.onError(error)
  }

  abort(): void {
    this.#exchange = undefined
    this.#destroy()
  }

  close(): void {
    if (this.#exchange === undefined) this.#destroy()
  }

  sweep(): void {
    const { tick, headersTicks, bodyTicks } = this.#owner
    const exchange = this.#exchange
    const socket = this.#socket
    if (socket === undefined || this.#reader.paused) return
    const silent = tick - this.#since
    if (exchange === undefined) {
      if (silent >= this.#idleTicks) this.#destroy()
    } else if (this.#headSeen) {
      if (silent >= bodyTicks) this.fail(new UpstreamError('timeout', 'the answer stopped coming'))
    } else if (!exchange.sent || socket.writableLength > 0) {
      this.#sweepUpload(socket, silent >= bodyTicks)
    } else if (silent >= headersTicks) {
      this.fail(new UpstreamError('timeout', 'no answer in time'))
    }
  }

  /** While the caller has nothing to send, the upstream owes nothing; while bytes wait, they must leave. */
  #sweepUpload(socket: Socket, late: boolean): void {
    const flushed = socket.bytesWritten - socket.writableLength
    if (socket.writableLength === 0 || flushed !== this.#flushed) {
      this.#flushed = flushed
      this.#since = this.#owner.tick
    } else if (late) {
      this.fail(new UpstreamError('timeout', 'the upstream stopped taking the request'))
    }
  }

  #destroy(): void {
    this.#cancelConnect?.()
    this.#cancelConnect = undefined
    this.#socket?.destroy()
    this.#owner.onGone(this)
  }
}
