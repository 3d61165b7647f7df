import type { Path } from '../config/path.ts'
import type { Finding } from '../config/problems.ts'
import type { Config, TlsConfig } from '../config/schema.ts'
import { egressRules, type EgressChoice } from '../http/egress-rules.ts'
import { ask, askThrough } from '../upstream/whole-answer.ts'
import { proxyWantsPassword, unreachableBecause } from './unreachable.ts'

interface Target {
  readonly path: Path
  readonly url: string
  readonly tls: TlsConfig
  readonly allowH2: boolean
  /** Milliseconds, and the setting that they come from. */
  readonly connectTimeout: number
  readonly setting: string
}

/** Milliseconds for an answer on an open connection. */
const patience = 10_000

/**
 * Sends every upstream and token endpoint a HEAD request without a token, a key or a cookie, over the client that `start` uses: the same egress proxies,
 * certificates and protocols. Any HTTP answer will do; what is told are names that don't resolve, connections, certificates and proxies.
 */
export async function reachabilityFindings(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const rules = egressRules(env)
  askThrough(rules)
  const seen = new Map<string, Promise<string | undefined>>()
  const findings = targetsOf(config).map(async ({ path, ...target }): Promise<Finding[]> => {
    const { origin } = new URL(target.url)
    const key = JSON.stringify([origin, target.tls, target.allowH2 && origin.startsWith('https:')])
    const fault = await (seen.get(key) ?? remember(seen, key, reach(target, rules(new URL(origin)))))
    return fault === undefined ? [] : [{ path, message: fault }]
  })
  return (await Promise.all(findings)).flat()
}

function targetsOf({ routes, credentials, proxy }: Config): Target[] {
  return [
    ...routes.map(({ upstream, tls, allowH2 }, index) => ({
      path: ['routes', index, 'upstream'],
      url: upstream,
      tls,
      allowH2,
      connectTimeout: proxy.timeouts.connect,
      setting: 'proxy.timeouts.connect',
    })),
    ...Object.entries(credentials).flatMap(([name, { tokenUrl, tls, refresh }]) => ({
      path: ['credentials', name, 'tokenUrl'],
      url: tokenUrl ?? '',
      tls,
      allowH2: false,
      connectTimeout: refresh.timeout,
      setting: `credentials.${name}.refresh.timeout`,
    })),
  ].filter(({ url }) => url !== '')
}

function remember<T>(map: Map<string, T>, key: string, value: T): T {
  map.set(key, value)
  return value
}

async function reach(target: Omit<Target, 'path'>, egress: EgressChoice | undefined): Promise<string | undefined> {
  const { url, tls, allowH2, connectTimeout, setting } = target
  const { host, protocol } = new URL(url)
  try {
    const { status } = await ask({
      url,
      method: 'HEAD',
      headers: { 'user-agent': 'bearer-sidecar' },
      body: undefined,
      tls: { ca: tls.ca ?? undefined, cert: tls.cert ?? undefined, key: tls.key ?? undefined },
      timeout: connectTimeout + patience,
      connectTimeout,
      allowH2,
      limit: 0,
    })
    // For an origin without TLS the proxy answers in the origin's place.
    return status === 407 && protocol === 'http:' && egress !== undefined ? proxyWantsPassword(host, egress) : undefined
  } catch (error) {
    return unreachableBecause(error, host, egress, setting)
  }
}
