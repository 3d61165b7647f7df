import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { findCommand } from '../../scripts/debian-packages.ts'
import { exposition, type Family } from '../../src/admin/exposition.ts'
import { Histogram } from '../../src/admin/histogram.ts'
import { createMetrics } from '../../src/admin/metrics.ts'
import { empty, working } from './fixture.ts'

const promtool = findCommand('promtool')

function family(changes: Partial<Family>): Family {
  return { name: 'a_metric', help: 'What it is.', type: 'gauge', samples: () => [{ value: 1 }], ...changes }
}

test('a family is its help, its type and a line per sample', () => {
  const samples = () => [{ labels: { route: 'a', status: 200 }, value: 3 }, { value: 0.25 }]
  assert.equal(
    exposition([family({ samples })]),
    '# HELP a_metric What it is.\n# TYPE a_metric gauge\na_metric{route="a",status="200"} 3\na_metric 0.25\n',
  )
})

test('a name that holds quotes, backslashes or line ends makes no other sample', () => {
  const samples = () => [{ labels: { route: '/a"b\\c\nd 1' }, value: 1 }]
  assert.match(exposition([family({ samples })]), /^a_metric\{route="\/a\\"b\\\\c\\nd 1"\} 1$/m)
  assert.match(exposition([family({ help: 'one\ntwo\\' })]), /^# HELP a_metric one\\ntwo\\\\$/m)
})

test('numbers that JSON has no word for are written as Prometheus reads them', () => {
  const samples = () => [Infinity, -Infinity, NaN].map((value) => ({ value }))
  assert.match(exposition([family({ samples })]), /a_metric \+Inf\na_metric -Inf\na_metric NaN\n$/)
})

test('a histogram counts each measure in its bucket and all wider ones', () => {
  const histogram = new Histogram([0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value)
  const samples = () => histogram.samples({ route: 'a' })
  assert.equal(
    exposition([family({ type: 'histogram', samples })])
      .split('\n')
      .slice(2)
      .join('\n'),
    [
      'a_metric_bucket{route="a",le="0.1"} 2',
      'a_metric_bucket{route="a",le="1"} 3',
      'a_metric_bucket{route="a",le="+Inf"} 4',
      'a_metric_sum{route="a"} 7.65',
      'a_metric_count{route="a"} 4',
      '',
    ].join('\n'),
  )
})

test(
  'Prometheus finds nothing wrong with what a sidecar exposes',
  { skip: promtool === undefined && 'promtool was not found (Debian package prometheus)' },
  () => {
    const metrics = createMetrics('1.2.3', () => [working(), empty({ name: 'q"u\\o\nte' })])
    metrics.requestStarted()
    metrics.route('pay "me"').finished('GET', 200, 0.3)
    metrics.refreshFinished('sky', 'expiry', 'success', 0.2)
    const run = spawnSync(promtool ?? '', ['check', 'metrics'], { input: metrics.render(), encoding: 'utf8' })
    assert.deepEqual({ status: run.status, said: run.stdout + run.stderr }, { status: 0, said: '' })
  },
)
