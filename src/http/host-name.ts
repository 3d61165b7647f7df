/**
 * The guard against DNS rebinding: a page of evil.example whose name was made to resolve to 127.0.0.1 still sends
 * Host: evil.example. Names are compared, ports are not, so that port forwarding works.
 */

/** Names that always mean this machine. */
const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

const authority = /^(\[[0-9a-f:.]+\]|[^\s:@/?#\\[\]]+)(?::\d{1,5})?$/i

/** The name of a Host value in lower case, without its port; undefined when the value is no authority. */
export function hostName(host: string | undefined): string | undefined {
  const name = authority.exec(host ?? '')?.[1]?.toLowerCase()
  return name?.startsWith('[') ? canonicalIPv6(name) : name
}

/** Every accepted name; `bound` are addresses a server listens on (::1 without brackets), `further` names or Host values. */
export function allowedHostNames(bound: readonly string[], further: readonly string[]): ReadonlySet<string> {
  const names = [...bound.map((address) => (address.includes(':') ? `[${address}]` : address)), ...further]
  return new Set([...loopbackNames, ...names.map(hostName).filter((name) => name !== undefined)])
}

function canonicalIPv6(bracketed: string): string | undefined {
  const url = `http://${bracketed}/`
  return URL.canParse(url) ? new URL(url).hostname : undefined
}
