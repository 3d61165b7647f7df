import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { presets } from '../../src/providers/presets.ts'
import { load } from '../config/config-file.ts'

const folder = join(import.meta.dirname, '../../docs/providers')
const pages = ['blackbaud-sky', 'constant-contact', 'highq', 'maya', 'others']
const page = (name: string) => readFileSync(join(folder, `${name}.md`), 'utf8')

for (const name of pages) {
  const blocks = [...page(name).matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text ?? '')

  void test(`every configuration on the page ${name} is valid and without warnings`, async (t) => {
    assert.ok(blocks.length > 0)
    for (const files of blocks) {
      const names = [...files.matchAll(/\$\{(\w+)/g)].map(([, variable]) => variable ?? '')
      const values = names.map((variable) => [variable, variable.endsWith('_URL') ? 'https://x.example/t' : 'x'])
      const env = { ...(Object.fromEntries(values) as Record<string, string>), BEARER_SIDECAR_KEY: 'a'.repeat(64) }
      const { warnings } = await load(t, { files, env: { ...env, SKY_KEY_2: 'y' } })
      assert.deepEqual(warnings, [], files)
    }
  })
}

void test('every preset has its place on a page, with the limits that the preset holds', () => {
  const text = pages.map(page).join('\n')
  for (const { name, limits } of presets) {
    assert.ok(text.includes(`\`${name}\``), name)
    for (const { perSecond, perDay } of limits) {
      assert.ok(page(name).includes(`rateLimit: { perSecond: ${perSecond ?? 0}, perDay: ${perDay ?? 0} }`), name)
    }
  }
})

void test('links between pages lead somewhere', () => {
  for (const name of pages) {
    for (const [, target] of page(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      assert.ok(existsSync(join(folder, target ?? '')), `${name}: ${target ?? ''}`)
    }
  }
})
