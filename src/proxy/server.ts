import Fastify from 'fastify'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { http } from '../builtins.ts'
import { ProxyError } from '../errors.ts'
import { listen, type BoundAddress } from '../http/listen.ts'
import { withoutSchemas } from '../http/no-schemas.ts'
import { announcesBody } from './admission.ts'
import { Dispatcher } from './dispatch.ts'
import { IdleConnections } from './idle-connections.ts'
import { answerMalformed } from './malformed.ts'
import type { ProxyDeps, ProxySetup } from './setup.ts'

export interface ProxyServer {
  /** Binds every address of proxy.listen; all or none. Rejects with ListenError. */
  listen(): Promise<readonly BoundAddress[]>
  /** Serves requests from now on with another setup; those in progress end with the one they began with. Listeners stay as they are. */
  use(setup: ProxySetup): Promise<void>
  /** Where listen() found a place; none before. */
  readonly addresses: readonly BoundAddress[]
  /** Requests and WebSockets. */
  readonly inFlight: number
  /**
   * Stops accepting, lets requests in progress end, tells kept connections to close. Resolves to false when some had to be cut off after
   * `grace` milliseconds.
   */
  close(grace: number): Promise<boolean>
}

/** Heads up to this size are read (Node's default is 16 KiB; targets of 8 KB must pass with room for a large cookie). */
const maxHeaderSize = 32 * 1024

export async function createProxy(deps: ProxyDeps): Promise<ProxyServer> {
  const dispatcher = new Dispatcher(deps)
  await dispatcher.use(deps.setup)
  const handler = await serve(dispatcher)
  const idle = new IdleConnections(deps.clock)
  const servers: Server[] = []
  let addresses: readonly BoundAddress[] = []
  let { timeouts } = deps.setup.proxy
  return {
    async listen() {
      const bound: BoundAddress[] = []
      try {
        for (const address of deps.setup.proxy.listen) {
          const server = httpServer(deps, dispatcher, handler, idle)
          server.headersTimeout = timeouts.requestHeaders
          bound.push(await listen(server, address))
          servers.push(server)
        }
      } catch (error) {
        await Promise.all(servers.map(closeServer))
        throw error
      }
      dispatcher.bound = bound
      addresses = bound
      return bound
    },
    async use(setup) {
      await dispatcher.use(setup)
      timeouts = setup.proxy.timeouts
      for (const server of servers) {
        server.headersTimeout = timeouts.requestHeaders
        takeUpgrades(server, dispatcher, idle)
      }
    },
    get addresses() {
      return addresses
    },
    get inFlight() {
      return dispatcher.inFlight
    },
    async close(grace) {
      dispatcher.startClosing()
      let cutOff = false
      const cancel = deps.clock.schedule(grace, () => {
        cutOff = dispatcher.requestsInFlight > 0
        for (const server of servers) server.closeAllConnections()
        dispatcher.cutOff()
      })
      await Promise.all(servers.map(closeServer))
      cancel()
      idle.close()
      dispatcher.close()
      return !cutOff
    },
  }
}

/**
 * Fastify serves one route for everything: rewriteUrl keeps its router and its URL decoding away from the target, whose bytes are ours to
 * judge, and the hook answers before any of its body parsing.
 */
async function serve(dispatcher: Dispatcher): Promise<RequestListener> {
  let handler: RequestListener | undefined
  const app = Fastify({
    ...withoutSchemas,
    logger: false,
    genReqId: () => '',
    rewriteUrl: () => '/',
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // Listening is done below, on several addresses at once; this server only lends Fastify its shape.
    serverFactory: (routing) => {
      handler = routing
      return http.createServer()
    },
  })
  const known = new Set(app.supportedMethods)
  const methods = http.METHODS.filter((method) => method !== 'CONNECT')
  for (const method of methods) if (!known.has(method)) app.addHttpMethod(method, { hasBody: true })
  await app.register((scope, _options, done) => {
    scope.addHook('onRequest', (request, reply) => {
      reply.hijack()
      dispatcher.handle(request.raw, reply.raw)
    })
    scope.route({ method: methods, url: '/', handler: () => undefined })
    done()
  })
  await app.ready()
  if (handler === undefined) throw new Error('Fastify made no request handler')
  return handler
}

function httpServer(
  { ids, events }: ProxyDeps,
  dispatcher: Dispatcher,
  handler: RequestListener,
  idle: IdleConnections,
): Server {
  const server = http.createServer(
    {
      requireHostHeader: false,
      maxHeaderSize,
      // IdleConnections does it.
      keepAliveTimeout: 0,
      requestTimeout: 0,
      connectionsCheckingInterval: 1000,
      optimizeEmptyRequests: true,
      // Node ignores every upgrade that this turns down, as RFC 9110 section 7.8 allows: h2c from curl and Java is answered as if not asked.
      shouldUpgradeCallback: (request) => dispatcher.upgrades(request),
    },
    handler,
  )
  server.maxHeadersCount = 0
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Else Node would close the connection of a caller that expects 100 without having a body to send.
    if (!announcesBody(request)) response.writeContinue()
    handler(request, response)
  })
  server.on('checkExpectation', handler)
  server.on('clientError', (error: Error, socket: Socket) =>
    answerMalformed(error, socket, ids, (problem) => events.onMalformed?.(problem)),
  )
  takeUpgrades(server, dispatcher, idle)
  idle.watch(server)
  // A tunnel would lead past every rule; whoever asks for one is no caller of ours.
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    dispatcher.endWith(new ProxyError('method_not_allowed'), socket)
  })
  return server
}

/** Before Node 22.21 and 24.9 a listener gets every upgrade, h2c included, so there it is only set when a route needs it. */
function takeUpgrades(server: Server, dispatcher: Dispatcher, idle: IdleConnections): void {
  if (server.listenerCount('upgrade') > 0) return
  if (!('shouldUpgradeCallback' in server) && !dispatcher.carriesWebSockets) return
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    idle.release(socket)
    dispatcher.upgrade(request, socket, head)
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
