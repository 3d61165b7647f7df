import { BlockList, isIP, isIPv6 } from 'node:net'
import { isLoopback } from './loopback.ts'

/** The egress proxy that leads to an origin, and the variable that named it. */
export interface EgressChoice {
  /** http:// or https:// */
  readonly proxy: URL
  readonly variable: string
}

/** undefined = the origin is called directly. Throws ProxyVariableError when the variable that holds for the origin cannot be used. */
export type EgressRules = (origin: URL) => EgressChoice | undefined

/** Names the variable and never repeats its value, which may hold a password. A TypeError, as for anything that cannot even be sent. */
export class ProxyVariableError extends TypeError {
  readonly variable: string

  constructor(variable: string) {
    super(
      'is not the address of a proxy: http://HOST:PORT, https://HOST:PORT or HOST:PORT, with USER:PASSWORD@ (percent-encoded) before HOST; other schemes, socks5:// among them, are not understood',
    )
    this.variable = variable
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What http_proxy, https_proxy, all_proxy and no_proxy say, as curl reads them: the lower-case variable wins, an empty one is none. HTTP_PROXY in
 * capitals counts too, for nothing here runs as a CGI program. This machine is never reached through another one.
 */
export function egressRules(env: Environment): EgressRules {
  const exempt = exemptions(set(env, ['no_proxy', 'NO_PROXY'])?.value ?? '')
  return (origin) => {
    const scheme = origin.protocol.slice(0, -1)
    const found = set(env, [`${scheme}_proxy`, `${scheme.toUpperCase()}_PROXY`, 'all_proxy', 'ALL_PROXY'])
    if (found === undefined || isLoopback(origin.hostname)) return undefined
    const host = bare(origin.hostname)
    const port = Number(origin.port) || (scheme === 'https' ? 443 : 80)
    if (exempt.some((matches) => matches(host, port))) return undefined
    const proxy = proxyUrl(found.value)
    if (proxy === undefined) throw new ProxyVariableError(found.variable)
    return { proxy, variable: found.variable }
  }
}

function set(env: Environment, names: readonly string[]): { variable: string; value: string } | undefined {
  for (const variable of names) {
    const value = env[variable]
    if (value !== undefined && value !== '') return { variable, value }
  }
  return undefined
}

/** A path, a query or a fragment is a password that was not percent-encoded: what stands before it is no host then. */
function proxyUrl(value: string): URL | undefined {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const { protocol, pathname, search, hash } = url
  return /^https?:$/.test(protocol) && pathname === '/' && search === '' && hash === '' ? url : undefined
}

type Exemption = (host: string, port: number) => boolean

/** Entries that mean nothing are passed over, as curl does. */
function exemptions(text: string): Exemption[] {
  return text
    .toLowerCase()
    .split(/[\s,]+/)
    .map(exemption)
    .filter((found) => found !== undefined)
}

function exemption(entry: string): Exemption | undefined {
  if (entry === '*') return () => true
  const [range, network = '', length = ''] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? []
  if (range !== undefined) return addresses(bare(network), Number(length))
  const [, name = entry, port] = (isIPv6(entry) ? undefined : /^(.+):(\d{1,5})$/.exec(entry)) ?? []
  const hosts = isIP(bare(name)) === 0 ? domain(name) : addresses(bare(name), undefined)
  return port === undefined ? hosts : hosts && ((host, called) => called === Number(port) && hosts(host, called))
}

/** An address, or with a prefix length all those that begin like it. */
function addresses(address: string, prefixLength: number | undefined): Exemption | undefined {
  const version = isIP(address)
  if (version === 0 || (prefixLength ?? 0) > (version === 6 ? 128 : 32)) return undefined
  const list = new BlockList()
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  if (prefixLength === undefined) list.addAddress(address, family)
  else list.addSubnet(address, prefixLength, family)
  return (host) => isIP(host) !== 0 && list.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}

/** The name and everything below it: example.test, .example.test and *.example.test are the same. */
function domain(written: string): Exemption | undefined {
  const name = written.replace(/^\*?\.+/, '').replace(/\.$/, '')
  return name === '' ? undefined : (host) => isIP(host) === 0 && (host === name || host.endsWith(`.${name}`))
}

/** Without brackets and the root's dot. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
}
