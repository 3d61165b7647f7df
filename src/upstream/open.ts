import { Connector } from './connector.ts'
import { Http1Pool } from './http1-pool.ts'
import type { Upstream, UpstreamOptions } from './upstream.ts'

/** A client for one origin. Connects when the first request comes. */
export function openUpstream(options: UpstreamOptions): Upstream {
  return new Http1Pool(new Connector(options), options)
}
