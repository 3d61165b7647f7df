import assert from 'node:assert/strict'
import test from 'node:test'
import { createMetrics, type Metrics } from '../../src/admin/metrics.ts'
import { call, empty, FakeCredentials, start, startAdmin, working } from './fixture.ts'

/** The samples of one metric, comments left out. */
function samples(metrics: Metrics, name: string): string[] {
  const lines = metrics.render().split('\n')
  return lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

test('requests are counted by route, method and status, and timed by route', () => {
  const metrics = createMetrics('1.2.3', () => [])
  const route = metrics.route('payments')
  for (const status of [200, 200, 503]) {
    route.finished('GET', status, 0.02)
  }
  assert.deepEqual(samples(metrics, 'bearer_sidecar_requests_total'), [
    'bearer_sidecar_requests_total{route="payments",method="GET",status="200"} 2',
    'bearer_sidecar_requests_total{route="payments",method="GET",status="503"} 1',
  ])
  assert.deepEqual(samples(metrics, 'bearer_sidecar_request_duration_seconds_count'), [
    'bearer_sidecar_request_duration_seconds_count{route="payments"} 3',
  ])
  assert.deepEqual(metrics.counts('payments'), { requests: 3, replays: 0 })
  assert.deepEqual(metrics.counts('unknown'), { requests: 0, replays: 0 })
})

test('asking twice counts nothing twice', () => {
  const metrics = createMetrics('1.2.3', () => [working()])
  const route = metrics.route('all')
  route.finished('GET', 200, 0.02)
  metrics.refreshFinished('sky', 'expiry', 'success', 0.1)
  route.replayed('success')
  const withoutProcess = () =>
    metrics
      .render()
      .split('\n')
      .filter((line) => !line.startsWith('process_'))
  assert.deepEqual(withoutProcess(), withoutProcess())
})

test('a caller cannot make new series with invented methods', () => {
  const metrics = createMetrics('1.2.3', () => [])
  for (const method of ['BREW', 'X1', 'X2']) metrics.route('all').finished(method, 200, 0)
  assert.deepEqual(samples(metrics, 'bearer_sidecar_requests_total'), [
    'bearer_sidecar_requests_total{route="all",method="OTHER",status="200"} 3',
  ])
})

test('requests in flight go up and down over all routes', () => {
  const metrics = createMetrics('1.2.3', () => [])
  metrics.requestStarted()
  metrics.requestStarted()
  assert.deepEqual(samples(metrics, 'bearer_sidecar_in_flight_requests'), ['bearer_sidecar_in_flight_requests 2'])
  metrics.route('b').finished('GET', 200, 0.1)
  assert.deepEqual(samples(metrics, 'bearer_sidecar_in_flight_requests'), ['bearer_sidecar_in_flight_requests 1'])
})

test('replays are counted by outcome, and the page counts those that were sent', () => {
  const metrics = createMetrics('1.2.3', () => [])
  const route = metrics.route('all')
  for (const outcome of [
    'success',
    'success',
    'rejected_again',
    'not_replayable',
    'refresh_failed',
    'cooldown',
  ] as const) {
    route.replayed(outcome)
  }
  assert.deepEqual(samples(metrics, 'bearer_sidecar_replays_total'), [
    'bearer_sidecar_replays_total{route="all",outcome="success"} 2',
    'bearer_sidecar_replays_total{route="all",outcome="rejected_again"} 1',
    'bearer_sidecar_replays_total{route="all",outcome="not_replayable"} 1',
    'bearer_sidecar_replays_total{route="all",outcome="refresh_failed"} 1',
    'bearer_sidecar_replays_total{route="all",outcome="cooldown"} 1',
  ])
  assert.equal(metrics.counts('all').replays, 3)
})

test('refreshes are counted by credential, reason and outcome from zero on', () => {
  const metrics = createMetrics('1.2.3', () => [working()])
  metrics.refreshFinished('sky', 'rejected', 'transient', 0.3)
  const lines = samples(metrics, 'bearer_sidecar_token_refreshes_total')
  assert.equal(lines.length, 18)
  assert.ok(
    lines.includes('bearer_sidecar_token_refreshes_total{credential="sky",reason="rejected",outcome="transient"} 1'),
  )
  assert.ok(lines.includes('bearer_sidecar_token_refreshes_total{credential="sky",reason="expiry",outcome="fatal"} 0'))
  assert.deepEqual(samples(metrics, 'bearer_sidecar_token_refresh_duration_seconds_sum'), [
    'bearer_sidecar_token_refresh_duration_seconds_sum{credential="sky"} 0.3',
  ])
})

test('gauges follow the credentials as they are when asked', () => {
  let list = [empty({ unsaved: true })]
  const metrics = createMetrics('1.2.3', () => list)
  assert.deepEqual(samples(metrics, 'bearer_sidecar_login_required'), [
    'bearer_sidecar_login_required{credential="sky"} 1',
  ])
  assert.deepEqual(samples(metrics, 'bearer_sidecar_unsaved_tokens'), [
    'bearer_sidecar_unsaved_tokens{credential="sky"} 1',
  ])
  assert.deepEqual(samples(metrics, 'bearer_sidecar_access_token_expiry_timestamp_seconds'), [])
  list = [working()]
  assert.deepEqual(samples(metrics, 'bearer_sidecar_login_required'), [
    'bearer_sidecar_login_required{credential="sky"} 0',
  ])
  assert.deepEqual(samples(metrics, 'bearer_sidecar_unsaved_tokens'), [
    'bearer_sidecar_unsaved_tokens{credential="sky"} 0',
  ])
  assert.deepEqual(samples(metrics, 'bearer_sidecar_access_token_expiry_timestamp_seconds'), [
    `bearer_sidecar_access_token_expiry_timestamp_seconds{credential="sky"} ${start / 1000 + 52 * 60}`,
  ])
  assert.deepEqual(samples(metrics, 'bearer_sidecar_refresh_token_expiry_timestamp_seconds'), [
    `bearer_sidecar_refresh_token_expiry_timestamp_seconds{credential="sky"} ${start / 1000 + 212 * 86_400}`,
  ])
})

test('subjects are in no label, but their unsaved tokens are counted', () => {
  const list = [
    working(),
    working({ subject: 'tenant-7', unsaved: true }),
    empty({ subject: 'tenant-8', unsaved: true }),
  ]
  const metrics = createMetrics('1.2.3', () => list)
  const text = metrics.render()
  assert.doesNotMatch(text, /tenant/)
  assert.match(text, /^bearer_sidecar_unsaved_tokens\{credential="sky"\} 2$/m)
  assert.match(text, /^bearer_sidecar_login_required\{credential="sky"\} 0$/m)
})

test('two registries in one process do not mix', () => {
  const [one, two] = [createMetrics('1', () => []), createMetrics('2', () => [])]
  one.route('only-in-one').finished('GET', 200, 1)
  assert.doesNotMatch(two.render(), /only-in-one/)
})

test('GET /metrics is Prometheus text with the version', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  const answer = await call(`${url}/metrics`)
  assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  assert.match(answer.body, /^bearer_sidecar_build_info\{version="1\.2\.3"\} 1$/m)
  assert.match(answer.body, /^process_resident_memory_bytes \d+$/m)
})
