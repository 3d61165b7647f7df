import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { findCommand } from '../../scripts/debian-packages.ts'
import { createMetrics } from '../../src/admin/metrics.ts'
import type { CredentialStatus } from '../../src/tokens/credentials.ts'
import { readManifests, root } from './manifests.ts'

interface Group {
  readonly rules: readonly {
    readonly alert: string
    readonly expr: string
    readonly annotations: Record<string, string>
  }[]
}
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
}

const read = (file: string) => readFileSync(join(root, file), 'utf8')
const alerts = parse(read('deploy/prometheus/alerts.yaml')) as { groups: Group[] }
const rules = alerts.groups.flatMap((group) => group.rules)
const dashboard = JSON.parse(read('deploy/grafana/bearer-sidecar.json')) as Dashboard
const promtool = findCommand('promtool')

/** Added by Prometheus, Kubernetes or kube-state-metrics, not by us. */
const targetLabels = ['namespace', 'job', 'pod', 'instance', 'container', 'le', 'quantile']

/** The names and labels that a running sidecar exposes, with one credential and one request. */
function exposed(): Map<string, Set<string>> {
  const time = '2026-01-01T00:00:00.000Z'
  const credential: Partial<CredentialStatus> = {
    name: 'sky',
    state: 'active',
    accessTokenExpiresAt: time,
    refreshTokenExpiresAt: time,
  }
  const metrics = createMetrics('1.0.0', () => [credential as CredentialStatus])
  metrics.requestStarted()
  const route = metrics.route('payments')
  route.finished('GET', 200, 0.1)
  route.replayed('success')
  metrics.refreshFinished('sky', 'expiry', 'success', 0.1)
  const names = new Map<string, Set<string>>()
  for (const [, name = '', labels = ''] of metrics.render().matchAll(/^([a-z_]+)(?:\{(.*)\})? /gm)) {
    names.set(name, new Set([...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label)))
  }
  return names
}

describe('monitoring', () => {
  it('asks only for metrics and labels that a sidecar has', () => {
    const names = exposed()
    const expressions = [
      ...rules.map(({ expr }) => expr),
      ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ]
    assert.ok(expressions.length > 15)
    const used = new Set<string>()
    for (const expression of expressions) {
      const metrics = [...expression.matchAll(/\b(bearer_sidecar_\w+|process_\w+)/g)].map(([name]) => name)
      const labels = [
        ...[...expression.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label),
        ...[...expression.matchAll(/\b(?:by|on|without) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
      ]
      const own = new Set(metrics.flatMap((name) => [...(names.get(name) ?? [])]))
      for (const name of metrics) {
        assert.ok(names.has(name), `${name} in ${expression}`)
        used.add(name)
      }
      for (const label of labels) assert.ok(own.has(label) || targetLabels.includes(label), `${label} in ${expression}`)
    }
    const unseen = [...names.keys()].filter(
      (name) => name.startsWith('bearer_sidecar_') && !used.has(name) && !/_(sum|count)$/.test(name),
    )
    assert.deepEqual(unseen, [], 'a metric that nobody looks at')
  })

  it('reports what only a person can mend', () => {
    const names = rules.map(({ alert }) => alert)
    for (const name of ['LoginRequired', 'UnsavedTokens', 'RefreshFailing', 'RefreshTokenExpiring', 'NotReady']) {
      assert.ok(names.includes(`BearerSidecar${name}`), name)
    }
    for (const { alert, annotations } of rules) assert.ok(annotations['summary'] && annotations['description'], alert)
  })

  it('has the same alert rules in the PrometheusRule and in the chart', () => {
    const rule = readManifests('deploy/kubernetes/monitoring.yaml').find(({ kind }) => kind === 'PrometheusRule')
    assert.deepEqual(rule?.spec, alerts)
    assert.deepEqual(parse(read('deploy/helm/bearer-sidecar/files/alerts.yaml')), alerts)
    const rendered = readManifests('test/deploy/rendered/monitoring.yaml').find(({ kind }) => kind === 'PrometheusRule')
    assert.deepEqual(rendered?.spec, alerts)
  })

  it('has the same dashboard in the chart', () => {
    assert.equal(read('deploy/helm/bearer-sidecar/files/dashboard.json'), read('deploy/grafana/bearer-sidecar.json'))
    const maps = readManifests('test/deploy/rendered/monitoring.yaml').filter(({ kind }) => kind === 'ConfigMap')
    const inside = maps.map(({ data }) => data?.['bearer-sidecar.json']).find((text) => text !== undefined)
    assert.deepEqual(JSON.parse(inside ?? '{}'), dashboard)
  })

  it('lays the panels of the dashboard side by side', () => {
    const panels = dashboard.panels as unknown as {
      title: string
      gridPos: { x: number; y: number; w: number; h: number }
    }[]
    const cells = new Set<string>()
    for (const { title, gridPos } of panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!cells.has(`${x},${y}`), `${title} lies on another panel`)
          cells.add(`${x},${y}`)
        }
      }
    }
  })

  it(
    'fires as its own tests say',
    { skip: promtool === undefined && 'promtool was not found (Debian package prometheus)' },
    () => {
      const run = spawnSync(promtool ?? '', ['test', 'rules', join(root, 'deploy/prometheus/alerts.test.yaml')], {
        encoding: 'utf8',
      })
      assert.equal(run.status, 0, run.stdout + run.stderr)
    },
  )
})
