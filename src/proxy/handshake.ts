import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '../builtins.ts'
import { ProxyError } from '../errors.ts'
import type { UpstreamHead } from '../upstream/upstream.ts'
import type { WebSocketHandler } from '../upstream/websocket-upstream.ts'
import type { ForwardContext } from './forward-context.ts'
import { Forwarding } from './forward.ts'
import type { RequestRecord } from './request-record.ts'
import { forCaller } from './response-headers.ts'
import { ServedRoute, type RouteTable } from './routes.ts'
import type { OpenedWebSocket } from './websocket.ts'

/** Bytes that a caller may send before it was answered: more are left in its socket. */
const maxEarly = 64 * 1024

/** The connection of a caller that asks for a WebSocket, until it is one or was answered otherwise, which ends it. */
export class AskingCaller {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly response: ServerResponse
  readonly #early: Buffer[]

  /** `head` are bytes that came behind the request. */
  constructor(request: IncomingMessage, socket: Socket, head: Buffer) {
    this.request = request
    this.socket = socket
    this.#early = [head]
    this.response = new http.ServerResponse(request)
    this.response.shouldKeepAlive = false
    // A request with a body comes on a stream of Node's that has no destroySoon().
    this.response.on('finish', () => socket.end(() => socket.destroy()))
    socket.on('error', () => undefined)
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain)
    try {
      this.response.assignSocket(socket)
    } catch {
      // The answer to a request before this one is still on its way: whoever pipelines a handshake cannot be served (RFC 6455 section 4.1).
      socket.destroy()
    }
  }

  /** Ends the HTTP on this connection: nothing was answered. Returns what the caller sent already. */
  release(): Buffer {
    this.socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).pause()
    this.response.detachSocket(this.socket)
    return Buffer.concat(this.#early)
  }

  /** Reading is the only way to see that the caller has left. */
  readonly #onData = (chunk: Buffer): void => {
    this.#early.push(chunk)
    if (this.#early.reduce((sum, { length }) => sum + length, 0) > maxEarly) this.socket.pause()
  }

  readonly #onEnd = (): void => {
    if (!this.response.writableEnded) this.socket.destroy()
  }

  /** Node's own server no longer tells the response. */
  readonly #onDrain = (): void => {
    this.response.emit('drain')
  }
}

/** A WebSocket handshake is a request like any other until its answer is 101: every rule for tokens, keys, limits and time-outs holds. */
export class Handshake extends Forwarding implements WebSocketHandler {
  readonly #caller: AskingCaller
  readonly #carry: (opened: OpenedWebSocket) => void

  /** Throws `bad_request` for what RFC 6455 section 4.2.1 does not allow. */
  constructor(
    context: ForwardContext,
    caller: AskingCaller,
    record: RequestRecord,
    route: ServedRoute,
    target: string,
    carry: (opened: OpenedWebSocket) => void,
  ) {
    checkHandshake(caller.request)
    super(context, caller.request, caller.response, record, route, target)
    this.#caller = caller
    this.#carry = carry
  }

  onWebSocket(head: UpstreamHead, upstream: Socket, rest: Buffer): void {
    // Counts as the answer that it is; its bytes are written by whoever carries the WebSocket.
    this.onHead(head)
    const { request, socket: caller } = this.#caller
    if (this.over || caller.destroyed) {
      upstream.destroy()
      return
    }
    this.close()
    const fields = forCaller(head.headers, {
      crossOrigin: this.context.crossOrigin(request),
      link: undefined,
      bodyChanged: false,
    })
    const headers: string[] = []
    let protocol: string | undefined
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at] as string
      const value = fields[at + 1] as string
      if (name.toLowerCase() === 'sec-websocket-protocol') protocol = value
      else if (!name.toLowerCase().startsWith('sec-websocket-')) headers.push(name, value)
    }
    this.#carry({ request, caller, early: this.#caller.release(), upstream, rest, protocol, headers })
  }
}

/** Refused before anything is sent, so that nobody gets a 101 from the upstream which the plugin would not pass on. */
function checkHandshake(request: IncomingMessage): void {
  const { headers } = request
  const problem = (detail: string) => new ProxyError('bad_request', { detail })
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw problem('Send one Sec-WebSocket-Key of 16 bytes in base64.')
  }
  if (headers['sec-websocket-version'] !== '13') throw problem('Send Sec-WebSocket-Version: 13.')
  const protocols = headers['sec-websocket-protocol']?.split(',').map((protocol) => protocol.trim()) ?? []
  if (new Set(protocols).size < protocols.length || protocols.some((protocol) => !token.test(protocol))) {
    throw problem('Send every subprotocol once, as a token.')
  }
  if (hasBody(request)) throw problem('A WebSocket handshake has no body.')
}

/** Node does not read the body of a request that it took for an upgrade. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The routes of the table that carry WebSockets, each with the same limits and keys but the upstream that makes handshakes. */
export function handshakeRoutes(table: RouteTable): ReadonlyMap<ServedRoute, ServedRoute> {
  const made = new Map<ServedRoute, ServedRoute>()
  for (const served of table.routes) {
    const { route, keyRings, governor, links } = served
    const { webSocketUpstream } = route
    if (webSocketUpstream === undefined) continue
    const rings = new Map(keyRings.filter((ring) => ring !== undefined).map((ring) => [ring.credential, ring]))
    const handshakes = new ServedRoute({ ...route, upstream: webSocketUpstream }, rings, governor)
    handshakes.links = links
    made.set(served, handshakes)
  }
  return made
}
