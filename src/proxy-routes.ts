import type { Config, RouteConfig } from './config/schema.ts'
import type { ProxySetup } from './proxy/setup.ts'
import type { TokenSources } from './tokens/token-sources.ts'
import type { Upstreams } from './upstreams.ts'

/** The routes of the config with everything open that they need. */
export function proxySetup(config: Config, sources: TokenSources, upstreams: Upstreams): ProxySetup {
  const opened = upstreams.use(config.routes, config.proxy.timeouts)
  const routes = config.routes.flatMap((route, index) => {
    const upstream = opened[index]
    if (upstream === undefined) return []
    const names = credentialNames(route)
    const credentials = names.map((name) => ({
      name,
      config: sources.credential(name),
      source: (subject: string | undefined) => sources.source(name, subject),
    }))
    return [
      {
        config: route,
        label: labelOf(route),
        upstream,
        upstreamUrl: new URL(route.upstream),
        credentials,
        // The presets' default was laid under it when the config was loaded.
        rewriteLinks: route.rewriteLinks ?? false,
        webSocketUpstream: route.websocket ? upstreams.webSocket(route, config.proxy.timeouts) : undefined,
      },
    ]
  })
  return { proxy: config.proxy, routes }
}

/** Metric and log label of a route. */
export const labelOf = (route: RouteConfig) => route.name ?? route.path

export const credentialNames = (route: RouteConfig) =>
  typeof route.credential === 'string' ? [route.credential] : route.credential
