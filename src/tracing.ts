import type { RequestRecord } from './proxy/request-record.ts'

/** Where @opentelemetry/api of major version 1 keeps what an SDK registered. */
const globalApi = Symbol.for('opentelemetry.js.api.1')

/**
 * A span for every request, when the user preloaded an OpenTelemetry SDK (node --import ...); undefined when not, and then the API isn't even loaded. The
 * caller's traceparent goes upstream as it came, so the span is a sibling of the upstream's and not its parent.
 */
export async function requestSpans(): Promise<((record: RequestRecord) => void) | undefined> {
  if (!(globalApi in globalThis)) return undefined
  const { propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = await import('@opentelemetry/api')
  const tracer = trace.getTracer('bearer-sidecar')
  return (record) => {
    const { traceparent } = record
    const parent = traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent })
    const end = Date.now()
    const span = tracer.startSpan(
      `${record.method} ${record.route ?? 'none'}`,
      {
        kind: SpanKind.SERVER,
        startTime: end - record.durationMs,
        // Semantic conventions for HTTP servers; never the query.
        attributes: {
          'http.request.method': record.method,
          'http.response.status_code': record.status,
          'url.path': record.path,
          ...(record.route !== undefined && { 'http.route': record.route }),
          ...(record.replay !== undefined && { 'bearer_sidecar.replay': record.replay }),
          ...(record.refreshed && { 'bearer_sidecar.refreshed': true }),
          ...(record.errorCode !== undefined && { 'error.type': record.errorCode }),
        },
      },
      parent,
    )
    if (record.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(end)
  }
}
