import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzUpstream } from './upstream-answers.ts'

// The long run is `node test/fuzz/upstream-answers.ts`; a new seed every day keeps this short one from going stale.
const seed = Math.floor(Date.now() / 86_400_000)

for (const secure of [false, true]) {
  test(`damaged answers over ${secure ? 'TLS' : 'TCP'} harm nobody but their own request (seed ${seed})`, async () => {
    const { ended, faults, violations } = await fuzzUpstream({ count: secure ? 300 : 1500, seed, secure })
    assert.deepEqual(violations, [])
    assert.ok(ended > 50, 'too little was valid for the test to mean anything')
    assert.ok((faults['protocol'] ?? 0) > 100, 'too little was damaged for the test to mean anything')
    assert.deepEqual([faults['timeout'], faults['tls']], [undefined, undefined])
  })
}
