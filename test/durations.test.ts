import assert from 'node:assert/strict'
import test from 'node:test'
import { durationInWords } from '../src/durations.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

for (const [span, words] of [
  [0, '0 seconds'],
  [second, '1 second'],
  [89 * second, '89 seconds'],
  [90 * second, '1 minute'],
  [89 * minute, '89 minutes'],
  [90 * minute, '1 hour'],
  [35 * hour, '35 hours'],
  [36 * hour, '1 day'],
  [364.9 * day, '364 days'],
  [2000 * day, '2,000 days'],
  [-3 * minute, '3 minutes'],
] as const) {
  test(`${span} ms is ${words}`, () => assert.equal(durationInWords(span), words))
}
