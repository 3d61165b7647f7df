import type { IncomingMessage } from 'node:http'
import { ProxyError } from '../errors.ts'
import type { Guard } from './guard.ts'
import { originalTarget, type RequestRecord } from './request-record.ts'
import type { RouteTable, ServedRoute } from './routes.ts'
import { absoluteTarget, checkPath, pathLength } from './target.ts'

/** More header fields than this are refused, never cut off in silence. */
const maxHeaderFields = 1000

export interface Admitted {
  readonly route: ServedRoute
  /** The target as it goes upstream. */
  readonly target: string
}

/** Every check that needs no token, before any work is done. Throws the ProxyError that the request is refused with. */
export function admit(request: IncomingMessage, record: RequestRecord, guard: Guard, routes: RouteTable): Admitted {
  checkHead(request)
  let target = originalTarget(request)
  const absolute = absoluteTarget(target)
  // The peer's address would be unknown of a TCP caller that has left already, too.
  const unixSocket = request.socket.localPort === undefined
  guard.check(request.headers, unixSocket)
  if (absolute !== undefined) {
    guard.checkHost(absolute.authority, unixSocket)
    target = absolute.target
  }
  const length = pathLength(target)
  const path = length === target.length ? target : target.slice(0, length)
  checkPath(path)
  const route = routes.find(path)
  if (route === undefined) throw new ProxyError('route_not_found')
  record.route = route.label
  route.checkAllowed(record.method, path)
  return { route, target: route.targetFor(target, length) }
}

/** What Node's parser lets through and RFC 9112 does not. */
function checkHead(request: IncomingMessage): void {
  const { rawHeaders, headers, httpVersionMajor, httpVersionMinor, method } = request
  if (rawHeaders.length > 2 * maxHeaderFields) throw new ProxyError('headers_too_large')
  if (httpVersionMajor !== 1) {
    throw new ProxyError('bad_request', { detail: 'Only HTTP/1.1 and HTTP/1.0 are spoken here.' })
  }
  if (!hasSoundFraming(request)) {
    throw new ProxyError('bad_request', { detail: 'The only Transfer-Encoding is chunked, in HTTP/1.1.' })
  }
  if (method === 'TRACE') throw new ProxyError('method_not_allowed')
  // HTTP/1.0 did not know Expect yet, nor Host.
  if (headers.expect !== undefined && httpVersionMinor > 0 && headers.expect.toLowerCase() !== '100-continue') {
    throw new ProxyError('expectation_failed')
  }
  const hosts = countHosts(rawHeaders)
  if (hosts > 1 || (hosts === 0 && httpVersionMinor > 0)) {
    throw new ProxyError('bad_request', { detail: 'Send exactly one Host header.' })
  }
}

/** RFC 9112 section 3.2: none or two are 400. Node shows only the first of several in `headers`. */
function countHosts(rawHeaders: readonly string[]): number {
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts
}

/** Nobody can tell where the request after a refused one begins. */
export function endsConnection(request: IncomingMessage): boolean {
  // A caller that waits for 100 (Continue) and was not sent one: its body never comes.
  if (request.headers.expect !== undefined && !request.complete && announcesBody(request)) return true
  return !hasSoundFraming(request)
}

/** An announced empty body is a body too. */
export function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** RFC 9112 section 6.1: chunked is the one coding that is understood here, and HTTP/1.0 had none. Node's parser sees to the rest. */
function hasSoundFraming({ headers, httpVersionMinor }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding']
  return coding === undefined || (httpVersionMinor > 0 && coding.toLowerCase() === 'chunked')
}

export function isWebSocket({ headers: { upgrade, connection }, method }: IncomingMessage): boolean {
  if (upgrade === undefined || method !== 'GET') return false
  return upgrade.toLowerCase() === 'websocket' && /(?:^|[\s,])upgrade(?:$|[\s,])/i.test(connection ?? '')
}
