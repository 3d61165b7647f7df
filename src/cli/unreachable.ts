import type { EgressChoice } from '../http/egress-rules.ts'
import { TunnelRefusal } from '../upstream/egress-proxy.ts'
import { ConnectError, UpstreamError } from '../upstream/upstream.ts'

/** What happens before anything is connected: with an egress proxy it is the proxy that it happens to. */
const onTheWay: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name could not be looked up just now',
  ECONNREFUSED: 'the connection was refused',
  EHOSTUNREACH: 'no route leads to the host',
  ENETUNREACH: 'no route leads to the network',
}

/** What is wrong with a certificate, and what helps. */
const certificates: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet; is the clock of this machine right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed; give it in tls.ca, if it is the right one',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not known here; give it in tls.ca or NODE_EXTRA_CA_CERTS',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not known here; give it in tls.ca or NODE_EXTRA_CA_CERTS',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not known here; give it in tls.ca or NODE_EXTRA_CA_CERTS',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its authority is not known here, or the server leaves an intermediate certificate out; give it in tls.ca or NODE_EXTRA_CA_CERTS',
}

/** Why `ask` rejected, for the person who ran the check. `setting` is the one that limits the time for a connection. */
export function unreachableBecause(
  error: unknown,
  host: string,
  egress: EgressChoice | undefined,
  setting: string,
): string {
  const proxy = egress && proxyName(egress)
  const code = errorCode(error)
  const cannot = `${host} cannot be reached`
  if (error instanceof TunnelRefusal) {
    if (error.status === 407 && egress !== undefined) return proxyWantsPassword(host, egress)
    return `${cannot}: ${proxy ?? 'the proxy'} refuses to connect to it (status ${error.status})`
  }
  const before = onTheWay[code]
  if (before !== undefined) return `${cannot}: ${proxy === undefined ? '' : `of ${proxy}, `}${before}`
  const through = proxy === undefined ? cannot : `${cannot} through ${proxy}`
  const certificate = certificates[code]
  if (certificate !== undefined) {
    return `the certificate of ${host}${proxy === undefined ? '' : `, or of ${proxy},`} was not accepted: ${certificate}`
  }
  return `${through}: ${reason(error, code, setting)}`
}

export function proxyWantsPassword(host: string, egress: EgressChoice): string {
  const { username } = egress.proxy
  const what = username === '' ? 'wants a user name and password' : 'does not accept the user name and password given'
  return `${host} cannot be reached: ${proxyName(egress)} ${what} (status 407)`
}

/** Without its user name and password. */
function proxyName({ proxy, variable }: EgressChoice): string {
  return `the proxy ${proxy.host} (from ${variable})`
}

function reason(error: unknown, code: string, setting: string): string {
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code)) return 'it does not speak TLS on this port'
  if (/CERTIFICATE_REQUIRED/.test(code)) return 'it wants a client certificate; see tls.cert and tls.key'
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(code)) return 'it speaks no TLS version from 1.2 on'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the connection was reset'
  const tail = code === '' ? '' : ` (${code})`
  if (!(error instanceof UpstreamError)) return `the request could not be made${tail}`
  switch (error.fault) {
    case 'timeout':
      return error instanceof ConnectError ? `no connection within ${setting}` : 'connected, but no answer came in time'
    case 'tls':
      return `the TLS handshake failed${tail}`
    case 'protocol':
      return error instanceof ConnectError ? 'the proxy does not speak HTTP' : 'what answers there does not speak HTTP'
    case 'unreachable':
      return `the connection broke off${tail}`
  }
}

/** The code of the innermost cause; of several addresses that were tried, the first one's. */
function errorCode(error: unknown): string {
  let code = ''
  for (let current = error; current instanceof Error; current = current.cause) {
    const first: unknown = current instanceof AggregateError ? current.errors[0] : current
    if (first instanceof Error && 'code' in first && typeof first.code === 'string') code = first.code
  }
  return code
}
