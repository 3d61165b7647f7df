import { ProxyError, type ErrorCode } from '../errors.ts'
import type { UpstreamError, UpstreamFault } from '../upstream/upstream.ts'

const codes: Readonly<Record<UpstreamFault, ErrorCode>> = {
  unreachable: 'upstream_unreachable',
  tls: 'upstream_tls_error',
  protocol: 'upstream_protocol_error',
  timeout: 'upstream_timeout',
}

/** What the caller is told of a fault of the upstream client; its message may name the upstream and stays in `cause`, for the log. */
export function upstreamProblem(error: UpstreamError): ProxyError {
  return new ProxyError(codes[error.fault], { cause: error })
}

/** Whatever was thrown, as something that a caller may be told. */
export function asProxyError(error: unknown): ProxyError {
  return error instanceof ProxyError ? error : new ProxyError('internal_error', { cause: error })
}
