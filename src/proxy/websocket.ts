import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { withoutSchemas } from '../http/no-schemas.ts'
import { acceptFor } from '../upstream/websocket-upstream.ts'

/** Both ends of a WebSocket, each ready to speak frames once the caller was sent its 101. */
export interface OpenedWebSocket {
  readonly request: IncomingMessage
  readonly caller: Socket
  /** What the caller sent behind its request. */
  readonly early: Buffer
  readonly upstream: Socket
  /** What the upstream sent behind its 101. */
  readonly rest: Buffer
  /** The one that the upstream chose. */
  readonly protocol: string | undefined
  /** Further fields of the upstream's 101, as names and values. */
  readonly headers: readonly string[]
}

/** The part of a WebSocket of the plugin's library that is used here. */
interface Peer {
  readonly bufferedAmount: number
  readonly isPaused: boolean
  on(event: 'message' | 'ping', listener: () => void): void
  prependListener(event: 'close', listener: (code: number) => void): void
  close(code?: number, reason?: string): void
  terminate(): void
  pause(): void
  resume(): void
}

interface Link extends OpenedWebSocket {
  peers?: readonly [Peer, Peer]
}

const link = Symbol('link')
type LinkedRequest = IncomingMessage & { [link]?: Link }

/** Milliseconds of silence before TCP probes a caller. */
const keepAliveDelay = 30_000
/** Bytes on their way to one side above which the other side is not read. */
const maxBuffered = 1024 * 1024
/** RFC 6455 section 7.4: the server goes away; the close frame had none; the connection ended without any. */
const goingAway = 1001
const noStatus = 1005
const abnormal = 1006

/**
 * WebSocket connections, carried by @fastify/http-proxy. The upstream has accepted before the plugin hears of it, so that a refusal can be judged, replayed and
 * passed on like any other answer: the plugin is given both open connections, connects nowhere, and sees no target and no token.
 */
export class WebSockets {
  readonly #links = new Set<Link>()
  #app: FastifyInstance | undefined
  #closing = false

  /** Loads the plugin; without it nothing can be carried. */
  async open(): Promise<void> {
    this.#app ??= await servePlugin(this)
  }

  /** WebSockets whose caller is still connected. */
  get size(): number {
    let size = 0
    for (const { caller } of this.#links) if (!caller.destroyed) size++
    return size
  }

  carry(opened: OpenedWebSocket): void {
    const { request, caller, early, upstream } = opened
    const made: Link = opened
    ;(request as LinkedRequest)[link] = made
    this.#links.add(made)
    const forget = () => {
      if (caller.destroyed && upstream.destroyed) this.#links.delete(made)
      // Whom the plugin refuses never gets a partner that closes it.
      else if (made.peers === undefined) upstream.destroy()
    }
    caller.once('close', forget)
    upstream.once('close', forget)
    // A caller whose machine vanished is noticed.
    caller.setKeepAlive(true, keepAliveDelay)
    // Field values are one byte per character; the library would write them as UTF-8.
    caller.setDefaultEncoding('latin1')
    this.#app?.server.emit('upgrade', request, caller, early)
    caller.resume()
    upstream.resume()
  }

  /** The plugin has tied the two ends together. */
  tied(made: Link, source: Peer, target: Peer): void {
    made.peers = [source, target]
    tie(source, target, made.upstream)
    tie(target, source, made.caller)
    if (this.#closing) sayGoodbye(made.peers)
  }

  /** Tells both ends of every connection that the proxy goes away; cut() ends those that do not answer. */
  close(): void {
    this.#closing = true
    for (const { peers } of this.#links) if (peers !== undefined) sayGoodbye(peers)
  }

  cut(): void {
    for (const { caller, upstream } of this.#links) {
      caller.destroy()
      upstream.destroy()
    }
  }
}

function sayGoodbye(peers: readonly Peer[]): void {
  for (const peer of peers) peer.close(goingAway)
}

/** What the plugin leaves out between one end and the other, whose socket is `out`. */
function tie(from: Peer, to: Peer, out: Socket): void {
  // The plugin would make application codes of these two; the end that was not told a code must not be told one by us.
  from.prependListener('close', (code) => {
    if (code === noStatus) to.close()
    else if (code === abnormal) to.terminate()
  })
  const resume = () => from.resume()
  const slowDown = () => {
    if (from.isPaused || to.bufferedAmount <= maxBuffered || !out.writableNeedDrain) return
    from.pause()
    out.once('drain', resume)
  }
  out.once('close', resume)
  from.on('message', slowDown)
  from.on('ping', slowDown)
}

async function servePlugin(owner: WebSockets): Promise<FastifyInstance> {
  const { default: httpProxy } = await import('@fastify/http-proxy')
  const app = Fastify({ ...withoutSchemas, logger: false, exposeHeadRoutes: false, rewriteUrl: () => '/' })
  // The plugin asks for the headers, makes its client and ties the two ends in one turn, so what was asked for last is what is tied.
  let current: Link | undefined
  await app.register(httpProxy, {
    upstream: 'http://websocket.invalid',
    websocket: true,
    httpMethods: ['GET'],
    // reply-from verifies no certificate unless told to. Nothing reaches it, as this server never listens.
    undici: { connect: { rejectUnauthorized: true } },
    preHandler: passFieldsOn(),
    wsServerOptions: {
      // Pings and pongs pass, so they are answered by the one who is asked.
      autoPong: false,
      handleProtocols: (_offered: ReadonlySet<string>, request: LinkedRequest) => request[link]?.protocol ?? false,
    },
    wsClientOptions: {
      autoPong: false,
      perMessageDeflate: false,
      rewriteRequestHeaders: (_headers: unknown, request: FastifyRequest) => {
        current = (request.raw as LinkedRequest)[link]
        return {}
      },
      createConnection: () => new Nowhere(),
      finishRequest: (request: ClientRequest) => {
        if (current !== undefined) handOver(request, current)
      },
    },
    wsHooks: {
      onConnect: (_context: unknown, source: Peer, target: Peer) => {
        if (current !== undefined) owner.tied(current, source, target)
      },
    },
  })
  await app.ready()
  return app
}

/** Makes the plugin's server add the fields of the upstream's 101 to its own. */
function passFieldsOn(): (request: FastifyRequest, reply: FastifyReply, done: () => void) => void {
  let listening = false
  return (_request, reply, done) => {
    if (!listening && 'wsProxy' in reply) {
      listening = true
      const { wss } = reply.wsProxy as { wss: NodeJS.EventEmitter }
      wss.on('headers', (lines: string[], { [link]: made }: LinkedRequest) => {
        const headers = made?.headers ?? []
        for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`)
      })
    }
    done()
  }
}

/** Answers the handshake of the plugin's client, which goes nowhere, with the connection that is open already. */
function handOver(request: ClientRequest, { upstream, rest, protocol }: Link): void {
  const key = String(request.getHeader('Sec-WebSocket-Key'))
  const headers = { upgrade: 'websocket', 'sec-websocket-accept': acceptFor(key), 'sec-websocket-protocol': protocol }
  request.emit('upgrade', { headers }, upstream, rest)
  request.destroy()
}

/** Stands in for the connection that the plugin's client would open. */
class Nowhere extends Duplex {
  override _read(): void {
    // Nothing comes.
  }

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done()
  }
}
