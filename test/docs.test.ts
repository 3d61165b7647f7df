import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { problemCatalogue } from '../src/errors.ts'

const root = join(import.meta.dirname, '..')
const pages = [...globSync('*.md', { cwd: root }), ...globSync('{docs,deploy,examples}/**/*.md', { cwd: root })]

test('the error page has a row for each code, with its status and what to do', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  for (const [code, { status, hint }] of Object.entries(problemCatalogue)) {
    assert.ok(
      page.includes(`| \`${code}\` | ${status} | ${hint} |`),
      `docs/errors.md: the row of ${code} is missing or old`,
    )
  }
})

test('links between pages lead somewhere', () => {
  assert.ok(pages.length > 10)
  const broken = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8')
    const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, link = '']) => link)
    return links.filter((link) => !existsSync(join(root, dirname(page), link))).map((link) => `${page}: ${link}`)
  })
  assert.deepEqual(broken, [])
})
