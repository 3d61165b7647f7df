import assert from 'node:assert/strict'
import test from 'node:test'
import { styleText } from 'node:util'
import { columns } from '../../src/cli/columns.ts'

test('cells line up under their titles, colours take no room, lines end with their last word', () => {
  const green = styleText('green', 'ok', { validateStream: false })
  assert.deepEqual(
    columns([
      ['NAME', 'STATE', 'LEFT'],
      ['a', green, '1 day'],
      ['long-name', 'broken', ''],
    ]),
    ['NAME       STATE   LEFT', `a          ${green}      1 day`, 'long-name  broken'],
  )
})
