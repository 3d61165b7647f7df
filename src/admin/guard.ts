import type { IncomingMessage } from 'node:http'
import { ProxyError } from '../errors.ts'
import { hostName } from '../http/host-name.ts'

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Throws for a request that a foreign page may have caused. The name in Host must be ours (DNS rebinding); a changing
 * call must come from our own page (cross-site request forgery). Programs send neither Origin nor Sec-Fetch-Site and pass.
 */
export function guardAdminRequest(
  request: IncomingMessage,
  allowed: ReadonlySet<string>,
  publicUrl: URL | undefined,
): void {
  const hosts = request.headersDistinct.host ?? []
  const name = hosts.length === 1 ? hostName(hosts[0]) : undefined
  if (name === undefined || !allowed.has(name)) {
    throw new ProxyError('host_not_allowed', {
      detail: 'Open the admin port as localhost, or set admin.publicUrl to the address you use.',
    })
  }
  if (safeMethods.has(request.method ?? '')) return
  if (isForeign(request) || !isOwnOrigin(request.headersDistinct.origin, hosts[0], publicUrl)) {
    throw new ProxyError('origin_not_allowed', {
      detail: 'Changes are accepted from the status page itself and from programs, not from other web pages.',
    })
  }
}

/** True when the browser says that another site (or another host of the same site) made it send this request. */
export function isForeign(request: IncomingMessage): boolean {
  const site = request.headers['sec-fetch-site']
  return site === 'cross-site' || site === 'same-site'
}

/**
 * Compared with the Host that was just checked, scheme aside: behind a port-forward or a TLS proxy the page's scheme
 * and port are not the ones we bound. "null" is the origin of sandboxed and opaque documents, never of our page.
 */
function isOwnOrigin(origins: string[] | undefined, host: string | undefined, publicUrl: URL | undefined): boolean {
  if (origins === undefined) return true
  const [origin] = origins
  if (origins.length !== 1 || origin === undefined || !URL.canParse(origin)) return false
  const url = new URL(origin)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false
  return url.origin === publicUrl?.origin || url.host === new URL(`${url.protocol}//${host ?? ''}`).host
}
