import type { Socket } from 'node:net'
import type { Connector } from './connector.ts'
import { type ConnectionOwner, Http1Connection } from './http1-connection.ts'
import { Http1Exchange } from './http1-exchange.ts'
import { checkRequest } from './request-check.ts'
import { Sweeper } from './sweeper.ts'
import {
  type Exchange,
  type Upstream,
  UpstreamError,
  usualHead,
  type UpstreamHandler,
  type UpstreamOptions,
  type UpstreamRequest,
} from './upstream.ts'

/** Milliseconds that an unused connection is kept when the upstream names no limit of its own. */
export const idleTimeout = 30_000
/** Milliseconds that we give up a connection before the upstream's own limit, so that our request does not cross its FIN. */
const idleMargin = 1_000
const maxIdle = 256
/** Milliseconds after which a connection is not used again. */
const maxAge = 600_000

type PoolOptions = Pick<UpstreamOptions, 'headersTimeout' | 'bodyTimeout' | 'maxHead'>

/** Keep-alive connections to one origin. The one used last is used first, so that a quiet hour lets the others go. */
export class Http1Pool implements Upstream, ConnectionOwner {
  readonly headersTicks: number
  readonly bodyTicks: number
  readonly maxHead: number
  readonly maxAgeTicks: number
  readonly #connector: Connector
  readonly #sweeper: Sweeper
  readonly #connections = new Set<Http1Connection>()
  readonly #idle: Http1Connection[] = []
  readonly #targetPrefix: string
  readonly #extraFields: string
  #closed: PromiseWithResolvers<undefined> | undefined

  constructor(connector: Connector, options: PoolOptions) {
    const { headersTimeout, bodyTimeout } = options
    this.maxHead = options.maxHead ?? usualHead
    this.#connector = connector
    this.#sweeper = new Sweeper(Math.min(headersTimeout, bodyTimeout, idleTimeout), () => {
      for (const connection of this.#connections) connection.sweep()
    })
    this.headersTicks = this.#sweeper.ticks(headersTimeout)
    this.bodyTicks = this.#sweeper.ticks(bodyTimeout)
    this.maxAgeTicks = this.#sweeper.ticks(maxAge)
    const proxy = connector.forwardProxy
    this.#targetPrefix = proxy === undefined ? '' : connector.targetPrefix
    this.#extraFields = proxy?.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`
  }

  get tick(): number {
    return this.#sweeper.tick
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): Exchange {
    checkRequest(request)
    const exchange = new Http1Exchange(request, this.#head(request), handler)
    const connection = this.#idle.pop()
    if (connection !== undefined) {
      connection.start(exchange)
    } else if (this.#closed === undefined) {
      this.#open(exchange)
    } else {
      process.nextTick(() => {
        if (!exchange.over) handler.onError(new UpstreamError('unreachable', 'the upstream client is closed'))
      })
    }
    return exchange
  }

  #head(request: UpstreamRequest): string {
    const { method, headers } = request
    // "OPTIONS *" through a proxy has the target without a path (RFC 9112 section 3.2.4).
    const target = this.#targetPrefix !== '' && request.target === '*' ? '' : request.target
    let head = `${method} ${this.#targetPrefix}${target} HTTP/1.1\r\n${this.#extraFields}`
    for (let at = 0; at < headers.length; at += 2) head += `${headers[at] as string}: ${headers[at + 1] as string}\r\n`
    return head
  }

  #open(exchange: Http1Exchange): void {
    const connection = new Http1Connection(this)
    this.#add(connection)
    connection.open(this.#connector, exchange)
  }

  /** Takes in a connection that was opened elsewhere and has not been used. */
  adopt(socket: Socket): void {
    const connection = new Http1Connection(this)
    this.#add(connection)
    connection.adopt(socket)
    if (!connection.rest()) connection.close()
  }

  #add(connection: Http1Connection): void {
    this.#connections.add(connection)
    this.#sweeper.start()
  }

  idleTicks(announced: number | undefined): number {
    const limit = announced === undefined ? idleTimeout : Math.min(idleTimeout, announced * 1000 - idleMargin)
    return limit <= 0 ? 0 : this.#sweeper.ticks(limit)
  }

  onIdle(connection: Http1Connection): boolean {
    if (this.#closed !== undefined) return false
    this.#idle.push(connection)
    if (this.#idle.length > maxIdle) this.#idle.shift()?.close()
    return true
  }

  onGone(connection: Http1Connection): void {
    if (!this.#connections.delete(connection)) return
    const at = this.#idle.lastIndexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    if (this.#connections.size === 0) {
      this.#sweeper.stop()
      this.#closed?.resolve(undefined)
    }
  }

  onStale(exchange: Http1Exchange): void {
    exchange.retryable = false
    exchange.sent = false
    this.#open(exchange)
  }

  async close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = Promise.withResolvers()
      for (const connection of this.#idle.slice()) connection.close()
      if (this.#connections.size === 0) this.#closed.resolve(undefined)
    }
    await this.#closed.promise
  }
}
