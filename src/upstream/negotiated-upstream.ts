import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Connector, ConnectListener } from './connector.ts'
import { Http1Pool, idleTimeout } from './http1-pool.ts'
import { Http2Session, type SessionOwner } from './http2-session.ts'
import { NegotiatedExchange } from './negotiated-exchange.ts'
import { checkRequest } from './request-check.ts'
import { Sweeper } from './sweeper.ts'
import {
  type Exchange,
  type Upstream,
  UpstreamError,
  type UpstreamHandler,
  type UpstreamOptions,
  type UpstreamRequest,
} from './upstream.ts'

/**
 * Offers HTTP/2 and lets the first connection decide (RFC 7301). An origin that has chosen HTTP/1.1 is asked for nothing else afterwards; one that
 * has chosen HTTP/2 is asked again for every new connection, unless it sent a request back to HTTP/1.1. Until a connection is there, requests wait
 * and fail together with it.
 */
export class NegotiatedUpstream implements Upstream, SessionOwner, ConnectListener {
  readonly headersTicks: number
  readonly bodyTicks: number
  readonly idleTicks: number
  readonly connectTicks: number
  readonly #connector: Connector
  readonly #http1: Http1Pool
  readonly #sweeper: Sweeper
  /** Open ones, those that are finishing included. */
  readonly #sessions = new Set<Http2Session>()
  /** Those that take requests. */
  readonly #ready: Http2Session[] = []
  #waiting: NegotiatedExchange[] = []
  #connecting = false
  #http1Only = false
  /** The upstream has sent a request back to HTTP/1.1; whether it speaks that shows when it is offered nothing else. */
  #http1Required = false
  #closed: PromiseWithResolvers<undefined> | undefined

  constructor(connector: Connector, options: UpstreamOptions) {
    const { connectTimeout, headersTimeout, bodyTimeout } = options
    this.#connector = connector
    this.#http1 = new Http1Pool(connector, options)
    this.#sweeper = new Sweeper(Math.min(connectTimeout, headersTimeout, bodyTimeout, idleTimeout), () => {
      for (const session of this.#sessions) session.sweep()
    })
    this.headersTicks = this.#sweeper.ticks(headersTimeout)
    this.bodyTicks = this.#sweeper.ticks(bodyTimeout)
    this.idleTicks = this.#sweeper.ticks(idleTimeout)
    this.connectTicks = this.#sweeper.ticks(connectTimeout)
  }

  get tick(): number {
    return this.#sweeper.tick
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): Exchange {
    if (this.#http1Only) return this.#http1.send(request, handler)
    checkRequest(request)
    const exchange = new NegotiatedExchange(request, handler)
    if (this.#closed === undefined) this.#start(exchange)
    else this.#refuse(exchange, new UpstreamError('unreachable', 'the upstream client is closed'))
    return exchange
  }

  #start(exchange: NegotiatedExchange): void {
    const { request, handler } = exchange
    if (this.#http1Only) {
      exchange.carry(this.#http1.send(request, handler))
      return
    }
    const session = this.#ready.find((candidate) => candidate.hasRoom)
    if (session === undefined) {
      this.#waiting.push(exchange)
      this.#connect()
      return
    }
    const carried = session.send(request, handler, () => this.#resend(exchange))
    if (carried instanceof UpstreamError) this.#refuse(exchange, carried)
    else exchange.carry(carried)
  }

  #refuse(exchange: NegotiatedExchange, error: UpstreamError): void {
    process.nextTick(() => {
      if (!exchange.aborted) exchange.handler.onError(error)
    })
  }

  #resend(exchange: NegotiatedExchange): boolean {
    if (!exchange.retryable) return false
    exchange.retryable = false
    exchange.drop()
    this.#start(exchange)
    return true
  }

  #connect(): void {
    if (this.#connecting) return
    this.#connecting = true
    this.#connector.connect(this.#http1Required ? ['http/1.1'] : ['h2', 'http/1.1'], undefined, this)
  }

  onConnect(socket: Socket): void {
    const isHttp2 = socket instanceof TLSSocket && socket.alpnProtocol === 'h2'
    if (isHttp2 && !this.#http1Required) {
      this.#sweeper.start()
      this.#sessions.add(new Http2Session(this, this.#connector.authority, socket))
      return
    }
    if (isHttp2) {
      socket.destroy()
    } else {
      this.#http1Only = true
      this.#http1.adopt(socket)
    }
    this.#connected()
  }

  onReady(session: Http2Session): void {
    this.#ready.push(session)
    this.#connected()
  }

  #connected(): void {
    this.#connecting = false
    for (const exchange of this.#takeWaiting()) this.#start(exchange)
    this.#settle()
  }

  onRefused(error: UpstreamError): void {
    if (this.#http1Required) this.#connected()
    else this.onConnectError(error)
  }

  onConnectError(error: UpstreamError): void {
    this.#connecting = this.#http1Required = false
    for (const exchange of this.#takeWaiting()) exchange.handler.onError(error)
    this.#settle()
  }

  onHttp1Required(): void {
    this.#http1Required = true
    for (const session of [...this.#sessions]) session.close()
  }

  #takeWaiting(): NegotiatedExchange[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting.filter((exchange) => !exchange.aborted)
  }

  onDraining(session: Http2Session): void {
    const at = this.#ready.indexOf(session)
    if (at >= 0) this.#ready.splice(at, 1)
  }

  onGone(session: Http2Session): void {
    this.#sessions.delete(session)
    if (this.#sessions.size === 0) this.#sweeper.stop()
    this.#settle()
  }

  /** Ends what close() began, once no exchange is waiting any more. */
  #settle(): void {
    if (this.#closed === undefined || this.#connecting) return
    for (const session of this.#sessions) session.close()
    void this.#http1.close()
    if (this.#sessions.size === 0) this.#closed.resolve(undefined)
  }

  async close(): Promise<void> {
    this.#closed ??= Promise.withResolvers()
    this.#settle()
    await this.#closed.promise
    await this.#http1.close()
  }
}
