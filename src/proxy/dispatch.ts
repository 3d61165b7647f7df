import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ProxyError } from '../errors.ts'
import type { BoundAddress } from '../http/listen.ts'
import { admit, isWebSocket } from './admission.ts'
import { Conversation } from './conversation.ts'
import { asProxyError } from './faults.ts'
import type { ForwardContext } from './forward-context.ts'
import { Forwarding } from './forward.ts'
import { Guard } from './guard.ts'
import { HandshakeRefusals } from './handshake-refusals.ts'
import { problemMessage } from './problem.ts'
import { RequestRecord } from './request-record.ts'
import { RouteTable } from './routes.ts'
import { collect } from './sent.ts'
import type { ProxyDeps, ProxySetup } from './setup.ts'
import { pathLength } from './target.ts'
import { tickPeriod, Watchdog } from './watchdog.ts'
import { WebSockets } from './websocket.ts'

/** Milliseconds. A handshake cannot be replayed, so its token must not be about to end. */
const handshakeMinLife = 30_000

/** From a request as Node gives it to its forwarding, or to the answer that refuses it. Everything that a config reload swaps is here. */
export class Dispatcher {
  readonly #deps: ProxyDeps
  readonly #watchdog: Watchdog
  readonly #refusals = new HandshakeRefusals()
  #routes: RouteTable
  #guard: Guard
  #context: ForwardContext
  #bound: readonly BoundAddress[] = []
  #inFlight = 0
  readonly #onOver = () => {
    this.#inFlight--
  }
  #closing = false
  #webSockets = new WebSockets()
  /** Of setups before a reload, while they still carry connections. */
  #retired: WebSockets[] = []

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
    const webSockets = await WebSockets.open(routes.routes)
    const before = this.#webSockets
    this.#routes = routes
    this.#webSockets = webSockets
    this.#guard = this.#newGuard(setup)
    this.#context = this.#newContext(setup)
    // Connections that are open go on with the setup they began with; the routes of the new one take the next.
    this.#retired.push(before)
    this.#retired = this.#retired.filter(({ size }) => size > 0)
  }

  /** The guard accepts these as Host. */
  set bound(addresses: readonly BoundAddress[]) {
    this.#bound = addresses
    this.#guard = this.#newGuard(this.#routes.setup)
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** From now on every answer closes its connection; WebSockets are told to. */
  startClosing(): void {
    this.#closing = true
    for (const webSockets of [this.#webSockets, ...this.#retired]) void webSockets.close()
  }

  /** Ends what node:http no longer knows of. */
  cutOff(): void {
    for (const webSockets of [this.#webSockets, ...this.#retired]) webSockets.cut()
  }

  close(): void {
    this.#watchdog.close()
  }

  get carriesWebSockets(): boolean {
    return this.#routes.routes.some((route) => this.#webSockets.carries(route))
  }

  /** True for a WebSocket on a route that carries them; every other upgrade is ignored or refused as a plain request. */
  upgrades(request: IncomingMessage): boolean {
    if (!isWebSocket(request)) return false
    const target = request.url ?? ''
    return this.#webSockets.carries(this.#routes.find(target.slice(0, pathLength(target))))
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
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

  /** A WebSocket handshake: the same checks and headers, then it is the plugin's. */
  async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { clock, events, ids } = this.#deps
    const record = new RequestRecord(request, ids, clock.monotonic())
    this.#inFlight++
    events.onStart?.(record)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      this.#inFlight--
      if (record.status === 0) record.status = 499
      if (record.status === 499) record.ending = 'caller-left'
      record.finish(clock.monotonic())
      events.onFinish?.(record)
    })
    try {
      const { route, target } = admit(request, record, this.#guard, this.#routes)
      if (!this.#webSockets.carries(route)) throw new ProxyError('upgrade_not_allowed')
      const sent = collect(route, request.rawHeaders, handshakeMinLife)
      await sent.pending
      if (socket.destroyed) return
      const headers = route.headers.forUpstream(request.rawHeaders, sent.tokens, sent.keys)
      record.status = 101
      const refused = (status: number) => this.#refusals.note(route, sent, status, clock.now())
      this.#webSockets.accept(route, request, socket, head, target, headers, record, refused)
    } catch (error) {
      record.error = asProxyError(error)
      record.status = record.error.statusCode
      socket.end(problemMessage(record.error, record.requestId))
    }
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
