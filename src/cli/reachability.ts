import { getCACertificates } from 'node:tls'
import type { Path } from '../config/path.ts'
import type { Finding } from '../config/problems.ts'
import type { Config, TlsConfig } from '../config/schema.ts'

interface Target {
  readonly path: Path
  readonly url: string
  readonly tls: TlsConfig
}

/**
 * Connects to every upstream and token endpoint with a HEAD request that carries no token, no key and no cookie. Any HTTP answer will do; what is
 * told are names that don't resolve, connections and certificates.
 */
export async function reachabilityFindings(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const targets = [
    ...config.routes.map(({ upstream, tls }, index) => ({ path: ['routes', index, 'upstream'], url: upstream, tls })),
    ...Object.entries(config.credentials).flatMap(([name, { tokenUrl, tls }]) =>
      tokenUrl === null ? [] : [{ path: ['credentials', name, 'tokenUrl'], url: tokenUrl, tls }],
    ),
  ]
  const seen = new Map<string, Promise<string | undefined>>()
  const findings = targets.map(async (target): Promise<Finding[]> => {
    const key = JSON.stringify([new URL(target.url).origin, target.tls])
    const fault = await (seen.get(key) ?? remember(seen, key, reach(target, config.proxy.timeouts.connect, env)))
    return fault === undefined ? [] : [{ path: target.path, message: fault }]
  })
  return (await Promise.all(findings)).flat()
}

function remember<T>(map: Map<string, T>, key: string, value: T): T {
  map.set(key, value)
  return value
}

async function reach(
  { url, tls: { ca, cert, key } }: Target,
  timeout: number,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const { EnvHttpProxyAgent, request } = await import('undici')
  const connect = {
    timeout,
    ...(ca !== null && { ca: [...getCACertificates('default'), ca] }),
    ...(cert !== null && { cert }),
    ...(key !== null && { key }),
  }
  const variable = (name: string) => env[name.toLowerCase()] ?? env[name]
  const httpProxy = variable('HTTP_PROXY')
  const httpsProxy = variable('HTTPS_PROXY')
  const dispatcher = new EnvHttpProxyAgent({
    connect,
    requestTls: connect,
    noProxy: variable('NO_PROXY') ?? '',
    ...(httpProxy !== undefined && { httpProxy }),
    ...(httpsProxy !== undefined && { httpsProxy }),
  })
  try {
    const signal = AbortSignal.timeout(timeout + 10_000)
    const { body } = await request(url, { method: 'HEAD', dispatcher, signal })
    await body.dump()
    return undefined
  } catch (error) {
    return faultText(error, new URL(url))
  } finally {
    await dispatcher.destroy().catch(() => undefined)
  }
}

const sentences: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name could not be looked up just now',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'no route leads to the host',
  ENETUNREACH: 'no route leads to the network',
  UND_ERR_CONNECT_TIMEOUT: 'no connection within proxy.timeouts.connect',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS on this port',
  UND_ERR_SOCKET: 'the connection broke off',
}

function faultText(error: unknown, { host }: URL): string {
  const code = errorCode(error)
  if (error instanceof Error && error.name === 'TimeoutError') return `${host} cannot be reached: no answer in time`
  const sentence = sentences[code]
  if (sentence !== undefined) return `${host} cannot be reached: ${sentence}`
  if (/CERT|SIGNATURE|TLS|SSL|ALTNAME/.test(code)) {
    return `the certificate of ${host} was not accepted (${code}); see tls.ca and NODE_EXTRA_CA_CERTS`
  }
  return `${host} cannot be reached${code === '' ? '' : ` (${code})`}`
}

/** The code of the innermost cause: undici wraps what the socket said. */
function errorCode(error: unknown): string {
  let code = ''
  for (let current = error; current instanceof Error; current = current.cause) {
    const first: unknown = current instanceof AggregateError ? current.errors[0] : current
    if (first instanceof Error && 'code' in first && typeof first.code === 'string') code = first.code
  }
  return code
}
