/** RFC 9110 section 7.6.1: these speak about one connection. The rest frame the message or are set by the forwarder itself. */
const ours = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding',
  'upgrade', 'content-length', 'host', 'expect', 'bearer-sidecar-secret',
]) // prettier-ignore

/** Why a field can't be injected or name a subject; undefined when it can. */
export function forbiddenHeader(name: string): string | undefined {
  const plain = name.toLowerCase().replaceAll('_', '-')
  if (ours.has(plain)) return `${plain} belongs to the connection or to the sidecar and cannot be used here`
  // CONTRACT section 3: none of these ever goes out, whoever wrote it.
  const forwarding = plain === 'forwarded' || plain === 'x-real-ip' || plain.startsWith('x-forwarded-')
  return forwarding ? `${plain} is never sent upstream and cannot be used here` : undefined
}

/** Many servers read X_Api_Key as X-Api-Key, so the two are one name. */
export const sameHeader = (a: string, b: string) => normal(a) === normal(b)

const normal = (name: string) => name.toLowerCase().replaceAll('_', '-')
