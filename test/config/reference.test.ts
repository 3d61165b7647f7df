import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { referencePage, schemaFile } from '../../scripts/generate-reference.ts'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { loadConfig } from '../../src/config/load.ts'
import { allSettings } from '../../src/config/settings.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const env = { SKY_CLIENT_ID: 'i', SKY_CLIENT_SECRET: 's', SKY_KEY: 'k', SKY_PAYMENTS_KEY: 'p', NODE_ENV: 'production' }

void test('docs/configuration.md and config.schema.json are what scripts/generate-reference.ts makes', () => {
  const how = 'run: node scripts/generate-reference.ts'
  assert.equal(read('docs/configuration.md'), referencePage(), how)
  assert.equal(read('config.schema.json'), schemaFile(), how)
})

void test('every setting has a sentence', () => {
  const silent = allSettings().filter(({ description }) => !/^.{15,}\.$/.test(description))
  assert.deepEqual(
    silent.map(({ path }) => path),
    [],
  )
})

void test('config.example.yaml is valid and holds every setting', async () => {
  const { config } = await loadConfig({ file: 'config.example.yaml', env, cwd: root })
  assert.deepEqual(config.credentials['sky']?.headers, { 'Bb-Api-Subscription-Key': ['k'] })
  const written = pathsOf(parse(read('config.example.yaml')), '')
  // Shown in comments, because the two exclude each other in practice.
  const commented = new Set(['credentials.<name>.refresh.on[].onlyBody', 'credentials.<name>.keyRejected[].unlessBody'])
  const missing = allSettings().filter(({ path }) => !written.has(path) && !commented.has(path))
  assert.deepEqual(
    missing.map(({ path }) => path),
    [],
  )
})

void test('what the example shows of a SKY credential is what the preset says', async () => {
  const { config } = await loadConfig({ file: 'config.example.yaml', env, cwd: root })
  const { presets } = await import('../../src/providers/presets.ts')
  const preset = presets.find(({ name }) => name === 'blackbaud-sky')?.credential
  assert.equal(config.credentials['sky']?.tokenUrl, preset?.tokenUrl)
  assert.equal(config.credentials['sky']?.clientAuthentication, preset?.clientAuthentication)
  assert.equal(config.credentials['sky']?.refresh.preserveRefreshToken, preset?.refresh?.preserveRefreshToken)
})

void test('the JSON Schema takes the example, and refuses what the program refuses', () => {
  const schema = z.fromJSONSchema(configJsonSchema())
  const example = parse(read('config.example.yaml')) as Record<string, unknown>
  assert.deepEqual(schema.safeParse(example).error?.issues, undefined)
  assert.ok(schema.safeParse({ ...example, proxy: { listen: '${LISTEN}', callerSecretFile: 'x' } }).success)
  assert.ok(!schema.safeParse({ ...example, proxy: { listen: 'nowhere' } }).success)
  assert.ok(!schema.safeParse({ ...example, proxxy: {} }).success)
  assert.ok(!schema.safeParse({ ...example, log: { level: 'loud' } }).success)
  assert.ok(!schema.safeParse({ ...example, store: { lease: '5 s' } }).success)
})

/** Every path of a document in the notation of the reference. */
function pathsOf(value: unknown, path: string): Set<string> {
  const found = new Set(path === '' ? [] : [path])
  if (typeof value !== 'object' || value === null) return found
  const children = Array.isArray(value)
    ? value.map((item: unknown) => [`${path}[]`, item] as const)
    : Object.entries(value).map(
        ([key, item]) => [path === '' ? key : `${path}.${path === 'credentials' ? '<name>' : key}`, item] as const,
      )
  for (const [inner, item] of children) for (const each of pathsOf(item, inner)) found.add(each)
  return found
}
