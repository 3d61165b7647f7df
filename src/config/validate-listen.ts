import { parseListenAddress, type ListenAddress } from '../http/listen.ts'
import { isLoopback } from '../http/loopback.ts'
import type { Path } from './path.ts'
import type { Finding } from './problems.ts'
import type { Config } from './schema.ts'

interface Listener {
  readonly path: Path
  readonly address: ListenAddress
}

/** Ports that don't exist, addresses that stand in each other's way, and addresses that others can reach. */
export function listenFindings({ proxy, admin }: Config): Finding[] {
  const listeners = [
    ...listenersOf(['proxy', 'listen'], proxy.listen),
    ...listenersOf(['admin', 'listen'], admin.listen === false ? [] : admin.listen),
    ...listenersOf(['admin', 'probesListen'], admin.probesListen ?? []),
  ]
  return listeners.flatMap(({ path, address }, index) => {
    const findings: Finding[] = []
    if (address.kind === 'tcp' && address.port > 65_535)
      findings.push({ path, message: 'the port must be 65535 or less' })
    const other = listeners.slice(0, index).find((earlier) => collide(earlier.address, address))
    if (other !== undefined)
      findings.push({ path, message: `is the same address as ${other.path.slice(0, 2).join('.')}` })
    if (path[1] !== 'probesListen' && address.kind === 'tcp' && !isLoopback(address.host)) {
      const remedy =
        path[0] === 'proxy'
          ? proxy.callerSecret === null
            ? 'anyone who reaches it calls the upstream as you; listen on 127.0.0.1, or set proxy.callerSecret'
            : 'whoever knows proxy.callerSecret calls the upstream as you'
          : 'anyone who reaches it can log in, import and forget tokens; listen on 127.0.0.1, or use admin.probesListen for probes'
      findings.push({ path, message: `can be reached from other machines: ${remedy}`, severity: 'warning' })
    }
    return findings
  })
}

const listenersOf = (path: Path, addresses: readonly string[]): Listener[] =>
  addresses.map((text, index) => ({
    path: addresses.length === 1 ? path : [...path, index],
    address: parseListenAddress(text),
  }))

/** The same port on the same host, or on one host and on all of them. Port 0 is another one each time. */
function collide(a: ListenAddress, b: ListenAddress): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === 'unix' && b.kind === 'unix' && a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  const host = (name: string) => (name.toLowerCase() === 'localhost' ? '127.0.0.1' : name.toLowerCase())
  const everywhere = (name: string) => name === '0.0.0.0' || name === '::'
  return host(a.host) === host(b.host) || everywhere(a.host) || everywhere(b.host)
}
