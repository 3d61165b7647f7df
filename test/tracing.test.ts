import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  propagation,
  trace,
  type Context,
  type SpanOptions,
  type TextMapPropagator,
  type TracerProvider,
} from '@opentelemetry/api'
import { skyStage, startSidecar } from './helpers/start-app.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a preloaded OpenTelemetry SDK gets a span for each request, below the caller of its traceparent', async (t) => {
  const spans: { name: string; attributes: SpanOptions['attributes']; parent: string | undefined }[] = []
  const provider = {
    getTracer: () => ({
      startSpan(name: string, options: SpanOptions, context: Context) {
        spans.push({ name, attributes: options.attributes, parent: trace.getSpanContext(context)?.spanId })
        return { setStatus: () => undefined, end: () => undefined }
      },
    }),
  }
  const propagator: Pick<TextMapPropagator, 'extract'> = {
    extract(context, carrier) {
      const [, traceId = '', spanId = ''] = (carrier as { traceparent: string }).traceparent.split('-')
      return trace.setSpanContext(context, { traceId, spanId, traceFlags: 1, isRemote: true })
    },
  }
  trace.setGlobalTracerProvider(provider as unknown as TracerProvider)
  propagation.setGlobalPropagator(propagator as TextMapPropagator)
  t.after(() => {
    trace.disable()
    propagation.disable()
  })
  const { simulator, directory, config } = await skyStage(t)
  const sidecar = await startSidecar(t, config, { directory })
  await fetch(`${sidecar.url}/echo?secret=1`, { headers: { traceparent } })
  const [seen] = simulator.requests
  assert.equal(seen?.rawHeaders[seen.rawHeaders.indexOf('traceparent') + 1], traceparent)
  assert.equal(spans[0]?.name, 'GET /')
  assert.equal(spans[0].parent, '00f067aa0ba902b7')
  assert.equal(spans[0].attributes?.['url.path'], '/echo')
  assert.equal(spans[0].attributes['http.response.status_code'], 200)
  const line = sidecar.log.find((text) => text.includes('"msg":"request"'))
  assert.ok(line?.includes('"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"'))
})
