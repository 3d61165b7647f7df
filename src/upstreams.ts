import type { Config, RouteConfig } from './config/schema.ts'
import type { EgressRules } from './http/egress-rules.ts'
import { openUpstream } from './upstream/open.ts'
import type { Upstream, UpstreamOptions } from './upstream/upstream.ts'
import { WebSocketUpstream } from './upstream/websocket-upstream.ts'

/** The open upstreams by what makes them the same; a reload keeps those that are still wanted, with their connections. */
export class Upstreams {
  readonly #egress: EgressRules
  #open = new Map<string, Upstream>()

  constructor(egress: EgressRules) {
    this.#egress = egress
  }

  /** One upstream per route, in the order of the routes. Those of the last call that are wanted no more end with their running requests. */
  use(routes: readonly RouteConfig[], timeouts: Config['proxy']['timeouts']): Upstream[] {
    const before = this.#open
    const next = new Map<string, Upstream>()
    const upstreams = routes.map((route) => {
      const options = this.#options(route, timeouts)
      const key = JSON.stringify(options)
      const upstream = next.get(key) ?? before.get(key) ?? openUpstream(options)
      next.set(key, upstream)
      return upstream
    })
    this.#open = next
    for (const [key, upstream] of before) if (!next.has(key)) void upstream.close()
    return upstreams
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((upstream) => upstream.close()))
    this.#open.clear()
  }

  /** For the route's WebSockets. It keeps no connection of its own, so a reload may make another. */
  webSocket(route: RouteConfig, timeouts: Config['proxy']['timeouts']): Upstream {
    return new WebSocketUpstream(this.#options(route, timeouts))
  }

  #options(route: RouteConfig, timeouts: Config['proxy']['timeouts']): UpstreamOptions {
    const origin = new URL(new URL(route.upstream).origin)
    return {
      origin,
      tls: { ca: route.tls.ca ?? undefined, cert: route.tls.cert ?? undefined, key: route.tls.key ?? undefined },
      connectTimeout: timeouts.connect,
      headersTimeout: timeouts.responseHeaders,
      bodyTimeout: timeouts.idleBody,
      allowH2: route.allowH2,
      egressProxy: this.#egress(origin)?.proxy,
    }
  }
}
