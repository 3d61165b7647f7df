import { Connector } from './connector.ts'
import { Http1Pool } from './http1-pool.ts'
import { NegotiatedUpstream } from './negotiated-upstream.ts'
import type { Upstream, UpstreamOptions } from './upstream.ts'

/** A client for one origin. Connects when the first request comes. */
export function openUpstream(options: UpstreamOptions): Upstream {
  const connector = new Connector(options)
  // Without TLS there is no ALPN, and HTTP/2 cannot be chosen (RFC 9113 section 3.3).
  return options.allowH2 && connector.origin.secure
    ? new NegotiatedUpstream(connector, options)
    : new Http1Pool(connector, options)
}
