import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import {
  chart,
  chartDigest,
  findHelm,
  render,
  rendered,
  renderedName,
  valuesFiles,
} from '../../scripts/render-chart.ts'
import { root } from './manifests.ts'

const read = (file: string) => readFileSync(join(chart, file), 'utf8')
const schema = JSON.parse(read('values.schema.json')) as z.core.JSONSchema.JSONSchema & {
  properties: Record<string, unknown>
}
const values = z.fromJSONSchema(schema)
const helm = findHelm()

describe('Helm chart', () => {
  it('was rendered as it stands (else: npm exec -- node scripts/render-chart.ts)', () => {
    for (const file of valuesFiles()) {
      const [first] = readFileSync(join(rendered, renderedName(file)), 'utf8').split('\n')
      assert.equal(first, `# chart ${chartDigest()}`, file)
    }
  })

  it(
    'renders to what the tests of the manifests read',
    { skip: helm === undefined && 'helm was not found' },
    async () => {
      for (const file of valuesFiles()) {
        assert.equal(await render(helm ?? '', file), readFileSync(join(rendered, renderedName(file)), 'utf8'), file)
      }
    },
  )

  it('has the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    const { version: own, appVersion } = parse(read('Chart.yaml')) as { version: string; appVersion: string }
    assert.deepEqual([own, appVersion], [version, version])
  })

  it('has a schema that knows every default value and accepts it', () => {
    const defaults = parse(read('values.yaml')) as Record<string, unknown>
    assert.deepEqual(values.safeParse(defaults).error?.issues ?? [], [])
    const known = Object.keys(schema.properties).filter((name) => name !== 'global')
    assert.deepEqual(known.sort(), Object.keys(defaults).sort())
  })

  it('has a schema that accepts the example values and refuses mistakes', () => {
    for (const file of valuesFiles())
      assert.deepEqual(values.safeParse(parse(read(file))).error?.issues ?? [], [], file)
    const refused = [
      { replicas: 2 },
      { replicaCount: '2' },
      { store: { type: 'etcd' } },
      { service: { type: 'LoadBalancer' } },
      { image: { digest: 'latest' } },
      { config: { content: { version: 1, routes: [{ path: '/' }] } } },
    ]
    for (const wrong of refused) assert.equal(values.safeParse(wrong).success, false, JSON.stringify(wrong))
  })
})
