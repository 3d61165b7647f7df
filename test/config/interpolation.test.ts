import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { interpolate, type Lookup } from '../../src/config/interpolation.ts'

const variables: Readonly<Record<string, string>> = { A: 'a', EMPTY: '', NESTED: '${A}', DIR: '/run' }
const files: Readonly<Record<string, string>> = { '/run/secret': 'from file', '/x': '${A}' }

const lookup: Lookup = {
  variable: (name) => variables[name],
  file: (path) => (files[path] === undefined ? { problem: `no ${path}` } : { text: files[path] }),
}

const texts: readonly (readonly [source: string, expected: string])[] = [
  ['plain $ and {braces}', 'plain $ and {braces}'],
  ['${A}', 'a'],
  ['x${A}y${A}z', 'xayaz'],
  ['${NONE:-d}', 'd'],
  ['${EMPTY:-d}', 'd'],
  ['${EMPTY}', ''],
  ['${NONE:-}', ''],
  ['${A:-d}', 'a'],
  ['${NONE:-Bearer {token}}', 'Bearer {token}'],
  ['${NONE:-${A:-b}}', 'a'],
  ['${NONE:-a:-b}', 'a:-b'],
  ['${NESTED}', '${A}'],
  ['${file:/run/secret}', 'from file'],
  ['${file:${DIR}/secret}', 'from file'],
  ['${file:/x}', '${A}'],
  ['$${A}', '${A}'],
  ['$${A} is ${A}', '${A} is a'],
  ['$$ and $1', '$$ and $1'],
  ['{uuid}', '{uuid}'],
]

for (const [source, expected] of texts) {
  void test(`${source} becomes ${expected}`, () => {
    assert.deepEqual({ ...interpolate(source, lookup), origins: [] }, { text: expected, problems: [], origins: [] })
  })
}

void test('what cannot be resolved is a problem that names the variable or the file', () => {
  assert.match(interpolate('${NONE}', lookup).problems[0] ?? '', /^the environment variable NONE is not set/)
  assert.deepEqual(interpolate('${file:/none}', lookup).problems, ['no /none'])
  for (const source of ['${}', '${1}', '${A-b}', '${A:?b}', '${file:}', '${A', 'x${']) {
    assert.equal(interpolate(source, lookup).problems.length, 1, source)
  }
})

void test('a text without references is left as it is, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(!text.includes('${'))
      assert.equal(interpolate(text, lookup).text, text)
    }),
  )
})

void test('any text can be written with every ${ escaped', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('${', '}', '$', '{', 'A', ':-', 'x')), (parts) => {
      const text = parts.join('')
      fc.pre(!text.includes('$${'))
      assert.deepEqual(
        interpolate(
          text.replaceAll('${', () => '$${'),
          lookup,
        ).text,
        text,
      )
    }),
  )
})
