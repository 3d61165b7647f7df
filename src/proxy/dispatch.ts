import type { IncomingMessage, ServerResponse } from 'node:http'
import { ProxyError } from '../errors.ts'
import type { BoundAddress } from '../http/listen.ts'
import { Answer } from './answer.ts'
import { Connection } from './connection.ts'
import type { ForwardContext } from './forward-context.ts'
import { Forwarding } from './forward.ts'
import { Guard } from './guard.ts'
import { originalTarget, RequestRecord } from './request-record.ts'
import { RouteTable } from './routes.ts'
import type { ProxyDeps, ProxySetup } from './setup.ts'
import { absoluteTarget, checkPath, pathLength } from './target.ts'
import { tickPeriod, Watchdog } from './watchdog.ts'

/** More header fields than this are refused, never cut off in silence. */
const maxHeaderFields = 1000
/** Milliseconds for which the rest of a body is read and thrown away after its request was answered, so that the caller gets to read the answer. */
const lingerTime = 30_000

const owner = Symbol('exchange')
type OwnedResponse = ServerResponse & {
  [owner]?: { dispatcher: Dispatcher; record: RequestRecord; forwarding: Forwarding | undefined }
}

/** From a request as Node gives it to its forwarding, or to the answer that refuses it. Everything that a config reload swaps is here. */
export class Dispatcher {
  readonly #deps: ProxyDeps
  readonly #watchdog: Watchdog
  #routes: RouteTable
  #guard: Guard
  #context: ForwardContext
  #bound: readonly BoundAddress[] = []
  #inFlight = 0
  #closing = false

  constructor(deps: ProxyDeps) {
    this.#deps = deps
    this.#watchdog = new Watchdog(deps.clock, 1000)
    this.#routes = new RouteTable(deps.setup, deps.events)
    this.#guard = this.#newGuard(deps.setup)
    this.#context = this.#newContext(deps.setup)
  }

  /** Throws, and changes nothing, for a setup that cannot be served. */
  use(setup: ProxySetup): void {
    this.#routes = new RouteTable(setup, this.#deps.events)
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

  /** From now on every answer closes its connection. */
  startClosing(): void {
    this.#closing = true
  }

  close(): void {
    this.#watchdog.close()
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { clock, events, ids } = this.#deps
    const record = new RequestRecord(request, ids, clock.monotonic())
    const owned = { dispatcher: this, record, forwarding: undefined as Forwarding | undefined }
    ;(response as OwnedResponse)[owner] = owned
    response.on('close', onClose)
    this.#inFlight++
    events.onStart?.(record)
    try {
      const forwarding = this.#admit(request, response, record)
      owned.forwarding = forwarding
      if (!Connection.of(request.socket).enter(forwarding)) request.socket.destroy()
    } catch (error) {
      const problem = error instanceof ProxyError ? error : new ProxyError('internal_error', { cause: error })
      new Answer(this.#context, request, response, record).fail(problem)
    }
  }

  /** Every check that needs no token. Throws the ProxyError that the request is refused with. */
  #admit(request: IncomingMessage, response: ServerResponse, record: RequestRecord): Forwarding {
    checkHead(request)
    let target = originalTarget(request)
    const absolute = absoluteTarget(target)
    this.#guard.check(request.headers, request.socket.remoteAddress === undefined)
    if (absolute !== undefined) {
      this.#guard.checkHost(absolute.authority)
      target = absolute.target
    }
    const length = pathLength(target)
    const path = length === target.length ? target : target.slice(0, length)
    checkPath(path)
    const route = this.#routes.find(path)
    if (route === undefined) throw new ProxyError('route_not_found')
    record.route = route.label
    route.checkAllowed(record.method, path)
    if (request.headers.upgrade !== undefined && isWebSocket(request)) throw new ProxyError('upgrade_not_allowed')
    return new Forwarding(this.#context, request, response, record, route, route.targetFor(target, length))
  }

  finish(response: ServerResponse, record: RequestRecord, forwarding: Forwarding | undefined): void {
    const { socket } = response.req
    if (!response.writableFinished && record.ending === 'answered') {
      record.ending = 'caller-left'
      if (record.status === 0) record.status = 499
    }
    this.#inFlight--
    record.finish(this.#deps.clock.monotonic())
    if (forwarding !== undefined) {
      forwarding.close()
      Connection.of(socket).leave(forwarding)
    }
    if (!response.req.complete && !socket.destroyed) this.#linger(response.req)
    this.#deps.events.onFinish?.(record)
  }

  /** Closing a connection with unread data in it makes TCP take back what was sent: the caller would lose the answer. */
  #linger(request: IncomingMessage): void {
    request.resume()
    const cancel = this.#deps.clock.schedule(lingerTime, () => request.socket.destroy())
    request.once('close', cancel)
  }

  #newGuard(setup: ProxySetup): Guard {
    return new Guard(
      setup.proxy,
      this.#bound.map(({ host }) => host).filter((host) => host !== undefined),
    )
  }

  #newContext({ proxy: { timeouts } }: ProxySetup): ForwardContext {
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
      crossOrigin: (request) => this.#guard.allowsOrigin(request.headers.origin),
    }
  }
}

function onClose(this: OwnedResponse): void {
  const owned = this[owner]
  if (owned !== undefined) owned.dispatcher.finish(this, owned.record, owned.forwarding)
}

/** What Node's parser lets through and RFC 9112 does not. */
function checkHead(request: IncomingMessage): void {
  const { rawHeaders, headers, httpVersionMajor, httpVersionMinor, method } = request
  if (rawHeaders.length > 2 * maxHeaderFields) throw new ProxyError('headers_too_large')
  if (httpVersionMajor !== 1)
    throw new ProxyError('bad_request', { detail: 'Only HTTP/1.1 and HTTP/1.0 are spoken here.' })
  if (method === 'TRACE') throw new ProxyError('method_not_allowed')
  if (headers.expect !== undefined && httpVersionMinor > 0 && headers.expect.toLowerCase() !== '100-continue') {
    throw new ProxyError('expectation_failed')
  }
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  // RFC 9112 section 3.2. HTTP/1.0 had no Host yet.
  if (hosts > 1 || (hosts === 0 && httpVersionMinor > 0)) {
    throw new ProxyError('bad_request', { detail: 'Send exactly one Host header.' })
  }
}

export function isWebSocket({ headers: { upgrade, connection }, method }: IncomingMessage): boolean {
  if (upgrade === undefined || method !== 'GET') return false
  return upgrade.toLowerCase() === 'websocket' && /(?:^|[\s,])upgrade(?:$|[\s,])/i.test(connection ?? '')
}
