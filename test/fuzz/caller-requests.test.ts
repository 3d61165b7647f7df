import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzProxy } from './caller-requests.ts'

// The long run is `node test/fuzz/caller-requests.ts`; a new seed every day keeps this short one from going stale.
const seed = Math.floor(Date.now() / 86_400_000)

test(`mutated requests never reach the upstream malformed, elsewhere or without exactly our credentials (seed ${seed})`, async () => {
  const { forwarded, answers, violations } = await fuzzProxy({ count: 2000, seed, patience: 500 })
  assert.deepEqual(violations, [])
  assert.ok(forwarded > 200, 'too little was valid for the test to mean anything')
  assert.ok((answers['400'] ?? 0) > 200, 'too little was damaged for the test to mean anything')
})
