import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { ConnectAttempt } from './connect-attempt.ts'
import { Connector } from './connector.ts'
import { openTunnel } from './egress-proxy.ts'
import { checkRequest } from './request-check.ts'
import {
  type Exchange,
  type Upstream,
  UpstreamError,
  type UpstreamHandler,
  type UpstreamHead,
  type UpstreamOptions,
  type UpstreamRequest,
} from './upstream.ts'
import { UpgradeExchange } from './upgrade-exchange.ts'

export interface WebSocketHandler extends UpstreamHandler {
  /** Instead of onHead: the answer is a valid 101. The socket, which is paused, is the handler's; `rest` came behind the head. */
  onWebSocket(head: UpstreamHead, socket: Socket, rest: Buffer): void
}

/**
 * Opens WebSockets with the caller's own Sec-WebSocket-Key (RFC 6455 section 4.1), each on a connection of its own. An answer that is not 101 is an answer
 * like any other. Extensions are not offered: whoever speaks over the connection would have to know them.
 */
export class WebSocketUpstream implements Upstream {
  readonly #connector: Connector
  readonly #options: UpstreamOptions

  constructor(options: UpstreamOptions) {
    this.#connector = new Connector(options)
    this.#options = options
  }

  send(request: UpstreamRequest, handler: UpstreamHandler & Partial<WebSocketHandler>): Exchange {
    checkRequest(request)
    const handshake = new Handshake(request)
    const exchange = new UpgradeExchange(handshake.head, this.#options, handler, (head, socket, rest) => {
      const fault = handshake.faultOf(head)
      if (fault !== undefined || handler.onWebSocket === undefined) {
        socket.destroy()
        handler.onError(new UpstreamError('protocol', fault ?? 'unsolicited 101'))
      } else handler.onWebSocket(head, socket, rest)
    })
    const cancel = this.#connector.connect(['http/1.1'], undefined, {
      onConnect: (socket) => this.#afterConnect(socket, exchange),
      onConnectError: (error) => exchange.fail(error),
    })
    exchange.onAbort = cancel
    return exchange
  }

  /** RFC 6455 section 4.1 wants a tunnel through an egress proxy for plain origins as well; for TLS there is one already. */
  #afterConnect(socket: Socket, exchange: UpgradeExchange): void {
    const proxy = this.#connector.forwardProxy
    if (proxy === undefined) {
      exchange.begin(socket)
      return
    }
    const { connectTimeout } = this.#options
    const attempt = new ConnectAttempt(connectTimeout, this.#connector.authority, (outcome) => {
      if (outcome instanceof UpstreamError) exchange.fail(outcome)
      else exchange.begin(outcome)
    })
    exchange.onAbort = () => attempt.cancel()
    attempt.watch(socket, 'connect', () => undefined)
    openTunnel(socket, proxy, this.#connector.authority, attempt, () => attempt.succeed(socket))
  }

  /** Every connection is its handler's; none is kept here. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** The client's side of RFC 6455 section 4.1: what is sent, and what a 101 has to say to it. */
class Handshake {
  readonly head: string
  #key = ''
  readonly #protocols = new Set<string>()

  constructor({ method, target, headers }: UpstreamRequest) {
    let head = `${method} ${target} HTTP/1.1\r\n`
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at] as string
      const value = headers[at + 1] as string
      switch (name.toLowerCase()) {
        case 'sec-websocket-extensions':
          continue
        case 'sec-websocket-key':
          this.#key = value
          break
        case 'sec-websocket-protocol':
          for (const protocol of value.split(',')) this.#protocols.add(protocol.trim())
          break
      }
      head += `${name}: ${value}\r\n`
    }
    this.head = `${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
  }

  /** Why the 101 opens no WebSocket that the caller asked for. */
  faultOf({ headers }: UpstreamHead): string | undefined {
    const values = (wanted: string) =>
      headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === wanted)
    if (values('upgrade').join().toLowerCase() !== 'websocket') return '101 for another protocol'
    if (values('sec-websocket-accept').join() !== acceptFor(this.#key)) return '101 with a wrong Sec-WebSocket-Accept'
    if (values('sec-websocket-extensions').length > 0) return '101 with an extension that nobody offered'
    const [protocol, ...more] = values('sec-websocket-protocol')
    if (more.length > 0 || (protocol !== undefined && !this.#protocols.has(protocol))) {
      return '101 with a subprotocol that nobody offered'
    }
    return undefined
  }
}

/** RFC 6455 section 4.2.2: shows that the server has read the handshake as one. */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
