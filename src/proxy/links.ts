import type { RouteTable, ServedRoute } from './routes.ts'

/**
 * Translates URLs of an upstream into URLs of the proxy, so that a client which follows a link comes back through the proxy. Only what really
 * leads back is translated: the new path must be routed to the very URL that the old one named.
 */
export class Links {
  /** The upstream's scheme and authority, without a default port: https://api.example.com */
  readonly origin: string
  readonly #table: RouteTable
  readonly #candidates: readonly ServedRoute[]

  /** The route's own mapping is preferred; others of the same origin come after it, the most specific first. */
  constructor(table: RouteTable, route: ServedRoute) {
    this.origin = route.route.upstreamUrl.origin
    this.#table = table
    const others = table.routes
      .filter((other) => other !== route && other.route.upstreamUrl.origin === this.origin)
      .sort((a, b) => b.base.length - a.base.length)
    this.#candidates = [route, ...others]
  }

  /**
   * The mapping for a path on the upstream: how many of its characters are replaced, and by which prefix. `path` begins with / and has no
   * query. Undefined when no route leads there.
   */
  mapping(path: string): { readonly replaced: number; readonly prefix: string } | undefined {
    if (!path.startsWith('/')) return undefined
    for (const { base, prefix } of this.#candidates) {
      if (!path.startsWith(base) || (path.length > base.length && path.charCodeAt(base.length) !== 0x2f)) continue
      const translated = prefix + path.slice(base.length)
      const found = this.#table.find(translated === '' ? '/' : translated)
      if (found?.route.upstreamUrl.origin !== this.origin) continue
      if (found.targetFor(translated, translated.length) === path) return { replaced: base.length, prefix }
    }
    return undefined
  }

  /** A URL of Location or Content-Location; one without a scheme or with a path alone is the upstream's as well. Others come back as they are. */
  translate(url: string, proxyOrigin: string): string {
    const { origin } = this
    const own = url.startsWith('//') ? origin.slice(origin.indexOf('//')) : origin
    // RFC 3986 section 6.2.2.1: scheme and host are the same in any case.
    const absolute = url.slice(0, own.length).toLowerCase() === own
    if (!absolute && (!url.startsWith('/') || url.startsWith('//'))) return url
    const rest = absolute ? withoutDefaultPort(origin, url.slice(own.length)) : url
    const path = /^[^?#]*/.exec(rest)?.[0] ?? ''
    const translated = this.translatePath(path)
    if (translated === undefined) return url
    return (absolute ? proxyOrigin : '') + translated + rest.slice(path.length)
  }

  /** The proxy's path for a path of the upstream; '' stands for /. Undefined when it is none or no route leads there. */
  translatePath(path: string): string | undefined {
    const mapping = this.mapping(path === '' ? '/' : path)
    if (mapping === undefined) return undefined
    return path === '' ? mapping.prefix && `${mapping.prefix}/` : mapping.prefix + path.slice(mapping.replaced)
  }
}

/** https://host:443/x names the same origin as https://host/x. */
export function withoutDefaultPort(origin: string, rest: string): string {
  const port = origin.startsWith('https:') ? ':443' : ':80'
  return rest.startsWith(port) && !/:\d+$/.test(origin) && !/^\d/.test(rest.slice(port.length))
    ? rest.slice(port.length)
    : rest
}
