import { StoreError } from './token-store.ts'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

export interface RedisLogin {
  readonly username?: string
  readonly password?: string
}

/** What `store.url` says. */
export interface RedisTarget {
  readonly kind: 'standalone' | 'sentinel' | 'cluster'
  /** Standalone: the one server; else the sentinels or some nodes of the cluster. */
  readonly nodes: readonly [RedisNode, ...RedisNode[]]
  /** Sentinel: the name of the master. */
  readonly masterName: string
  readonly database: number
  readonly tls: boolean
  /** TLS: a file of CA certificates trusted beside those of Node. */
  readonly ca: string | undefined
  readonly login: RedisLogin
  readonly sentinelLogin: RedisLogin
  /** Names the place without the login. */
  readonly label: string
}

const shape = /^(redis|rediss|valkey|valkeys)(?:\+(sentinel|cluster))?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const defaultPorts = { standalone: 6379, sentinel: 26_379, cluster: 6379 } as const
const knownOptions = ['ca', 'sentinelUsername', 'sentinelPassword']

/**
 * `redis://[user[:password]@]host[:port][/database]`, `redis+sentinel://[..@]host[:port],../master-name[/database]`,
 * `redis+cluster://[..@]host[:port],..`; `rediss` instead of `redis` for TLS, and `valkey`, `valkeys` mean the same. Options:
 * `?ca=FILE`, and for Sentinels with a login of their own `?sentinelUsername=..&sentinelPassword=..`. Reserved characters of a
 * password are percent-encoded. Throws StoreError; its message never shows the value.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme = '', mode, authority = '', path = '', query = ''] = shape.exec(url) ?? []
  if (scheme === '') throw wrong('it must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://')
  const kind = mode === 'sentinel' || mode === 'cluster' ? mode : 'standalone'
  const at = authority.lastIndexOf('@')
  const [first, ...more] = authority
    .slice(at + 1)
    .split(',')
    .map((node) => parseNode(node, defaultPorts[kind]))
  if (first === undefined || (kind === 'standalone' && more.length > 0))
    throw wrong('several hosts need redis+sentinel:// or redis+cluster://')
  const options = new URLSearchParams(query)
  for (const name of options.keys())
    if (!knownOptions.includes(name)) throw wrong(`the only options are ${knownOptions.join(', ')}`)
  const segments = path === '' ? [] : path.split('/').map(decode)
  const masterName = kind === 'sentinel' ? (segments.shift() ?? '') : ''
  if (kind === 'sentinel' && masterName === '')
    throw wrong('after the hosts it must name the master: redis+sentinel://host:26379/master-name')
  const nodes = [first, ...more] as const
  const tls = scheme === 'rediss' || scheme === 'valkeys'
  return {
    kind,
    nodes,
    masterName,
    database: parseDatabase(segments, kind),
    tls,
    ca: options.get('ca') ?? undefined,
    login: parseLogin(at < 0 ? '' : authority.slice(0, at)),
    sentinelLogin: login(options.get('sentinelUsername') ?? '', options.get('sentinelPassword') ?? ''),
    label: [tls ? 'TLS' : '', kind === 'standalone' ? '' : kind, masterName, nodes.map(nodeLabel).join(',')]
      .filter(Boolean)
      .join(' '),
  }
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? (plain === '' ? 'localhost' : plain)
  const number = port === undefined ? defaultPort : Number(port)
  if (host === undefined || number < 1 || number > 65_535) throw wrong('hosts are written host:port, [::1]:port')
  return { host, port: number }
}

function parseDatabase(segments: readonly string[], kind: RedisTarget['kind']): number {
  const [text = '', ...rest] = segments
  if (rest.length > 0 || !/^\d{0,5}$/.test(text)) throw wrong('the path is the number of a database')
  if (kind === 'cluster' && Number(text) !== 0) throw wrong('a cluster has only database 0')
  return Number(text)
}

function parseLogin(text: string): RedisLogin {
  const colon = text.indexOf(':')
  return colon < 0 ? login(decode(text), '') : login(decode(text.slice(0, colon)), decode(text.slice(colon + 1)))
}

const login = (username: string, password: string): RedisLogin => ({
  ...(username !== '' && { username }),
  ...(password !== '' && { password }),
})

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('a % in it must be written %25')
  }
}

const nodeLabel = ({ host, port }: RedisNode) => `${host.includes(':') ? `[${host}]` : host}:${port}`

const wrong = (why: string) => new StoreError('unavailable', `store.url is not understood: ${why}.`)
