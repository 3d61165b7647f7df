import type { Metrics, RouteMetrics } from './admin/metrics.ts'
import { describeError } from './errors.ts'
import type { Logger } from './logger.ts'
import type { RequestRecord } from './proxy/request-record.ts'
import type { ProxyEvents } from './proxy/setup.ts'

/** Requests that fit no route are counted under this word. */
const noRoute = 'none'

/** What the proxy tells, as one log line per request, as metrics, and as spans for who wants them. */
export function proxyEvents(
  logger: Logger,
  metrics: Metrics | undefined,
  span: ((record: RequestRecord) => void) | undefined,
): ProxyEvents {
  // Its fields are these and no others, none of them a secret; looking through them for one would cost three times the line itself. The level is asked of
  // the parent, which a reload changes.
  const requests = logger.child({}, { redact: [], level: 'trace' })
  const routes = new Map<string, RouteMetrics>()
  const route = (name: string): RouteMetrics | undefined => {
    let found = routes.get(name)
    if (found === undefined && metrics !== undefined) {
      found = metrics.route(name)
      routes.set(name, found)
    }
    return found
  }
  return {
    onStart() {
      metrics?.requestStarted()
    },
    onFinish(record) {
      const counted = route(record.route ?? noRoute)
      counted?.finished(record.method, record.status, record.durationMs / 1000)
      span?.(record)
      if (logger.isLevelEnabled(record.error === undefined ? 'info' : 'warn')) logRequest(requests, record)
    },
    onReplay(name, outcome) {
      route(name)?.replayed(outcome)
    },
    onKeyChange(credential, position) {
      logger.warn(
        { credential, position },
        'the upstream refused a subscription key; the next one of the list works and is used from now on',
      )
    },
    onMalformed(error) {
      logger.info({ code: error.code, status: error.statusCode }, 'malformed request')
    },
  }
}

/** Route, status and times; never a query, a body or a header value. An answer of our own is a warning with its reason. */
function logRequest(logger: Logger, record: RequestRecord): void {
  const { error, traceId } = record
  const fields = {
    requestId: record.requestId,
    route: record.route,
    method: record.method,
    path: record.path,
    status: record.status,
    durationMs: Math.round(record.durationMs * 10) / 10,
    upstreamMs: record.upstreamMs === undefined ? undefined : Math.round(record.upstreamMs * 10) / 10,
    refreshed: record.refreshed || undefined,
    replay: record.replay,
    ending: record.ending === 'answered' ? undefined : record.ending,
    trace_id: traceId,
    code: error?.code,
    reason: error?.cause === undefined ? undefined : describeError(error.cause),
  }
  if (error === undefined) logger.info(fields, 'request')
  else logger.warn(fields, 'request')
}
