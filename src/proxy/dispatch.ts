import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { BoundAddress } from '../http/listen.ts'
import { admit, isWebSocket } from './admission.ts'
import { Connection } from './connection.ts'
import { Conversation } from './conversation.ts'
import { asProxyError } from './faults.ts'
import type { ForwardContext } from './forward-context.ts'
import { Forwarding } from './forward.ts'
import { Guard } from './guard.ts'
import { AskingCaller, Handshake, handshakeRoutes, hasBody } from './handshake.ts'
import { answerLast } from './malformed.ts'
import { sendProblem } from './problem.ts'
import { RequestRecord } from './request-record.ts'
import { RouteTable, type ServedRoute } from './routes.ts'
import type { ProxyDeps, ProxySetup } from './setup.ts'
import { pathLength } from './target.ts'
import { tickPeriod, Watchdog } from './watchdog.ts'
import { WebSockets } from './websocket.ts'

/** Milliseconds that WebSockets have to answer the close frame when the proxy shuts down. */
const closeHandshakeTime = 2_000

/** From a request as Node gives it to its forwarding, or to the answer that refuses it. Everything that a config reload swaps is here. */
export class Dispatcher {
  readonly #deps: ProxyDeps
  readonly #watchdog: Watchdog
  #routes: RouteTable
  #guard: Guard
  #context: ForwardContext
  #bound: readonly BoundAddress[] = []
  #inFlight = 0
  readonly #onOver = () => {
    this.#inFlight--
  }
  #closing = false
  readonly #webSockets = new WebSockets()
  /** What carries the handshakes of a route, where it takes any. */
  #handshakes: ReadonlyMap<ServedRoute, ServedRoute> = new Map()
  /** Callers that asked for a WebSocket, and those that have one. */
  readonly #askers = new Set<Socket>()
  #cancelCut: (() => void) | undefined

  constructor(deps: ProxyDeps) {
    this.#deps = deps
    this.#watchdog = new Watchdog(deps.clock, 1000)
    this.#routes = new RouteTable(deps.setup, deps)
    this.#guard = this.#newGuard(deps.setup)
    this.#context = this.#newContext(deps.setup)
  }

  /** Rejects, and changes nothing, for a setup that cannot be served. */
  async use(setup: ProxySetup): Promise<void> {
    const routes = new RouteTable(setup, this.#deps, this.#routes)
    const handshakes = handshakeRoutes(routes)
    if (handshakes.size > 0) await this.#webSockets.open()
    this.#routes = routes
    this.#handshakes = handshakes
    this.#guard = this.#newGuard(setup)
    this.#context = this.#newContext(setup)
  }

  /** The guard accepts these as Host. */
  set bound(addresses: readonly BoundAddress[]) {
    this.#bound = addresses
    this.#guard = this.#newGuard(this.#routes.setup)
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Without WebSockets, which never end by themselves. */
  get requestsInFlight(): number {
    return this.#inFlight - this.#webSockets.size
  }

  /** From now on every answer closes its connection; WebSockets are told to, and ended soon after if they do not. */
  startClosing(): void {
    this.#closing = true
    this.#webSockets.close()
    this.#cancelCut = this.#deps.clock.schedule(closeHandshakeTime, () => this.#webSockets.cut())
  }

  /** Ends what node:http no longer knows of. */
  cutOff(): void {
    for (const socket of this.#askers) socket.destroy()
  }

  close(): void {
    this.#cancelCut?.()
    this.#webSockets.cut()
    this.#watchdog.close()
  }

  get carriesWebSockets(): boolean {
    return this.#handshakes.size > 0
  }

  /** True for a WebSocket on a route that carries them; every other upgrade is ignored or refused as a plain request. */
  upgrades(request: IncomingMessage): boolean {
    if (!isWebSocket(request)) return false
    const target = request.url ?? ''
    const route = this.#routes.find(target.slice(0, pathLength(target)))
    return route !== undefined && this.#handshakes.has(route)
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    if (Connection.of(request.socket).ended) {
      request.resume()
      return
    }
    const { clock, ids } = this.#deps
    this.#inFlight++
    const record = new RequestRecord(request, ids, clock.monotonic())
    const conversation = new Conversation(response, record, this.#deps, this.#onOver)
    try {
      const { route, target } = admit(request, record, this.#guard, this.#routes)
      if (isWebSocket(request)) throw new ProxyError('upgrade_not_allowed')
      conversation.forward(new Forwarding(this.#context, request, response, record, route, target))
    } catch (error) {
      conversation.refuse(error, this.#closing)
    }
  }

  /** A WebSocket handshake. Its record ends with the connection. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { clock, events, ids } = this.#deps
    if (Connection.of(request.socket).busy) {
      // Whoever asks for another protocol has to wait for the answers before it (RFC 6455 section 4.1).
      request.resume()
      this.endWith(
        new ProxyError('bad_request', { detail: 'Send the handshake after the answers before it.' }),
        request.socket,
      )
      return
    }
    const record = new RequestRecord(request, ids, clock.monotonic())
    const caller = new AskingCaller(request, socket, head)
    // Only before Node 22.21 and 24.9: an upgrade that upgrades() would have turned down is ignored here.
    if (!isWebSocket(request) && !hasBody(request)) {
      this.handle(request, caller.response)
      return
    }
    let handshake: Handshake | undefined
    this.#inFlight++
    this.#askers.add(socket)
    events.onStart?.(record)
    socket.once('close', () => {
      this.#inFlight--
      this.#askers.delete(socket)
      handshake?.close()
      if (record.status === 0) record.status = 499
      if (record.status === 499) record.ending = 'caller-left'
      record.finish(clock.monotonic())
      events.onFinish?.(record)
    })
    if (socket.destroyed) return
    try {
      const { route, target } = admit(request, record, this.#guard, this.#routes)
      const handshakes = this.#handshakes.get(route)
      if (handshakes === undefined || !isWebSocket(request)) throw new ProxyError('upgrade_not_allowed')
      handshake = new Handshake(this.#context, caller, record, handshakes, target, (opened) =>
        this.#webSockets.carry(opened),
      )
      handshake.begin()
    } catch (error) {
      record.error = asProxyError(error)
      sendProblem(caller.response, record, true)
    }
  }

  /** The last answer on a connection that Node's server has let go of, once the requests before it are answered. */
  endWith(problem: ProxyError, socket: Socket): void {
    const { events, ids } = this.#deps
    const connection = Connection.of(socket)
    this.#askers.add(socket)
    socket.once('close', () => this.#askers.delete(socket))
    connection.adopt()
    connection.end(() => answerLast(problem, socket, ids, (error) => events.onMalformed?.(error)))
  }

  #newGuard(setup: ProxySetup): Guard {
    return new Guard(
      setup.proxy,
      this.#bound.map(({ host }) => host).filter((host) => host !== undefined),
    )
  }

  #newContext({ proxy: { timeouts, publicUrl } }: ProxySetup): ForwardContext {
    const watchdog = this.#watchdog
    watchdog.period = tickPeriod([timeouts.requestBodyIdle, timeouts.idleBody, timeouts.responseHeaders])
    return {
      clock: this.#deps.clock,
      events: this.#deps.events,
      watchdog,
      uploadLimits: {
        caller: watchdog.ticks(timeouts.requestBodyIdle),
        upstream: watchdog.ticks(timeouts.responseHeaders),
      },
      drainLimit: watchdog.ticks(timeouts.idleBody),
      closing: () => this.#closing,
      proxyOrigin: (request) => publicUrl?.replace(/\/$/, '') ?? `http://${callersHost(request)}`,
      crossOrigin: (request) => this.#guard.allowsOrigin(request.headers.origin),
    }
  }
}

/** The name under which the caller reached us; its Host was checked before. */
function callersHost({ headers: { host }, socket }: IncomingMessage): string {
  if (host !== undefined && host !== '') return host
  return socket.localPort === undefined ? 'localhost' : `localhost:${socket.localPort}`
}
