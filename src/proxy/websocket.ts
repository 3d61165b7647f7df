import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import { sendProblem } from './problem.ts'
import type { RequestRecord } from './request-record.ts'
import type { ServedRoute } from './routes.ts'

interface Handover {
  readonly headers: Record<string, string[]>
  readonly record: RequestRecord
  /** The upstream answered the handshake with this status. */
  refused(status: number): void
}

const handover = Symbol('handover')
type HandedOver = IncomingMessage & { [handover]?: Handover }

/**
 * WebSocket connections, carried by @fastify/http-proxy. It gets requests that were guarded, routed and given their headers here, and sees the
 * target that goes upstream; it never listens, so its forwarding of plain HTTP cannot be reached.
 */
export class WebSockets {
  readonly #apps = new Map<ServedRoute, FastifyInstance>()
  readonly #sockets = new Set<Socket>()

  /** One Fastify per route, because TLS settings differ. The plugin is loaded only when some route wants it. */
  static async open(routes: readonly ServedRoute[]): Promise<WebSockets> {
    const made = new WebSockets()
    for (const route of routes) {
      if (route.route.config.websocket) made.#apps.set(route, await serveWebSockets(route))
    }
    return made
  }

  carries(route: ServedRoute | undefined): boolean {
    return route !== undefined && this.#apps.has(route)
  }

  get size(): number {
    return this.#sockets.size
  }

  /** `target` and `headers` go upstream; `head` are bytes that came behind the request; `refused` is told the status of a refusal. */
  accept(
    route: ServedRoute,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    target: string,
    headers: readonly string[],
    record: RequestRecord,
    refused: (status: number) => void,
  ): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const handed = request as HandedOver
    handed[handover] = { headers: withoutHandshake(headers), record, refused }
    request.url = target
    this.#apps.get(route)?.server.emit('upgrade', request, socket, head)
  }

  /** Closes every connection with 1001/1005 frames; cut() ends those that do not answer. */
  async close(): Promise<void> {
    for (const app of this.#apps.values()) {
      // The plugin closes its WebSockets when its server closes; ours never listened, so Fastify would not get to that.
      app.server.close(() => undefined)
      await app.close()
    }
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

async function serveWebSockets({ route }: ServedRoute): Promise<FastifyInstance> {
  const { default: httpProxy } = await import('@fastify/http-proxy')
  const tls = { rejectUnauthorized: true, ca: route.tls.ca, cert: route.tls.cert, key: route.tls.key }
  const app = Fastify({ logger: false, exposeHeadRoutes: false })
  app.setErrorHandler((error, request, reply) => {
    reply.hijack()
    const record = (request.raw as HandedOver)[handover]?.record
    if (record === undefined) return
    record.error = new ProxyError('bad_request', { cause: error })
    sendProblem(reply.raw, record, true)
  })
  // The plugin asks for the headers and opens the connection in one turn, so the handshake that is finished is the one that was asked for.
  let asked: Handover | undefined
  await app.register(httpProxy, {
    upstream: route.upstreamUrl.origin,
    websocket: true,
    httpMethods: ['GET'],
    // reply-from verifies no certificate unless told to.
    undici: { connect: tls },
    wsClientOptions: {
      ...tls,
      perMessageDeflate: false,
      handshakeTimeout: 10_000,
      rewriteRequestHeaders: (_headers: unknown, request: FastifyRequest) => {
        asked = (request.raw as HandedOver)[handover]
        return asked?.headers ?? {}
      },
      finishRequest: (request: ClientRequest) => {
        const handed = asked
        request.prependListener('response', ({ statusCode = 0 }: IncomingMessage) => handed?.refused(statusCode))
        request.end()
      },
    },
  })
  await app.ready()
  return app
}

/** As the object that the plugin takes. It makes a handshake of its own, so the caller's handshake fields and Host stay behind. */
function withoutHandshake(headers: readonly string[]): Record<string, string[]> {
  const byName = new Map<string, { readonly name: string; readonly values: string[] }>()
  for (let index = 2; index < headers.length; index += 2) {
    const name = headers[index] as string
    const value = headers[index + 1] as string
    const lower = name.toLowerCase()
    if (lower.startsWith('sec-websocket-')) continue
    const field = byName.get(lower)
    if (field === undefined) byName.set(lower, { name, values: [value] })
    else field.values.push(value)
  }
  return Object.fromEntries([...byName.values()].map(({ name, values }) => [name, values]))
}
