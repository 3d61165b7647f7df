import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerOf, refresh, simulated } from './client.ts'

/** Status and body of an answer in the place of tokens. */
const standIns: [string, number, RegExp][] = [
  ['token-400', 400, /invalid_request/],
  ['token-invalid-grant', 400, /invalid_grant/],
  ['token-invalid-client', 401, /invalid_client/],
  ['token-429=7', 429, /too_many/],
  ['token-500', 500, /^Internal Server Error$/],
  ['token-503=7', 503, /^Service Unavailable$/],
  ['token-truncated', 200, /^\{"access_token".*[^}]$/],
  ['token-garbage', 200, /\uFFFD/],
  ['token-html', 200, /^<!doctype html>/],
  ['token-empty', 200, /^$/],
  ['token-array', 200, /^\[\]$/],
  ['token-error-200', 200, /^\{"error":"invalid_grant"\}$/],
]
for (const [fault, status, body] of standIns) {
  test(`${fault} answers ${status} and spends nothing`, async (t) => {
    const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults: [`${fault}@1`] })
    const seed = simulator.seedRefreshToken()
    const response = await refresh(simulator, seed)
    assert.equal(response.status, status)
    if (fault.endsWith('=7')) assert.equal(response.headers.get('retry-after'), '7')
    assert.match(await response.text(), body)
    assert.equal((await refresh(simulator, seed)).status, 200)
    assert.deepEqual(
      simulator.tokenRequests.map(({ outcome }) => outcome),
      [fault.split('=')[0], 'issued'],
    )
  })
}

for (const fault of ['token-reset', 'token-cut']) {
  test(`${fault} breaks the connection and spends nothing`, async (t) => {
    const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults: [`${fault}=1`] })
    const seed = simulator.seedRefreshToken()
    await assert.rejects(async () => (await refresh(simulator, seed)).text())
    assert.equal((await refresh(simulator, seed)).status, 200)
  })
}

test('token-timeout never answers; closing the simulator ends the wait', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults: ['token-timeout'] })
  const call = assert.rejects(refresh(simulator, simulator.seedRefreshToken()))
  while (simulator.tokenRequests[0]?.outcome !== 'token-timeout') await new Promise((resolve) => setImmediate(resolve))
  await simulator.close()
  await call
})

test('token-lost-answer rotates and then drops the connection, so the old token is a reuse', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults: ['token-lost-answer=1'] })
  const seed = simulator.seedRefreshToken()
  await assert.rejects(refresh(simulator, seed))
  assert.equal(simulator.tokenRequests[0]?.outcome, 'issued, answer lost')
  assert.equal((await refresh(simulator, seed)).status, 400)
  assert.equal(simulator.reuseEvents, 1)
})

test('token-lost-answer costs nothing while preserving or within a grace window', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults: ['token-lost-answer@1'] })
  const seed = simulator.seedRefreshToken()
  await assert.rejects(refresh(simulator, seed, { preserve_refresh_token: 'true' }))
  assert.equal((await refresh(simulator, seed)).status, 200)
})

test('token-slow rotates first and answers later', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults: ['token-slow=150ms@1'] })
  const seed = simulator.seedRefreshToken()
  const started = performance.now()
  const slow = refresh(simulator, seed)
  while (simulator.tokenRequests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal((await refresh(simulator, seed)).status, 400, 'already consumed')
  assert.equal((await slow).status, 200)
  assert.ok(performance.now() - started >= 149)
})

test('slow and broken combine', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', faults: ['token-slow=60ms', 'token-500'] })
  const started = performance.now()
  assert.equal((await refresh(simulator, 'any')).status, 500)
  assert.ok(performance.now() - started >= 59)
})

test('token-huge sends that many megabytes', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', faults: ['token-huge=3@1'] })
  const body = await (await refresh(simulator, 'any')).arrayBuffer()
  assert.ok(body.byteLength > 3_000_000 && body.byteLength < 3_001_000)
  assert.equal((JSON.parse(Buffer.from(body).toString()) as { token_type: string }).token_type, 'Bearer')
})

test('token-huge stops when the reader leaves', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', faults: ['token-huge=5000@1'] })
  const response = await refresh(simulator, 'any')
  const reader = response.body?.getReader()
  await reader?.read()
  await reader?.cancel()
  assert.equal((await refresh(simulator, 'any')).status, 400)
})

test('token-redirect points to a path that counts its visitors', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', faults: ['token-redirect@1'] })
  const response = await refresh(simulator, 'any')
  assert.equal(response.status, 307)
  assert.equal(simulator.stats().redirectsFollowed, 0)
  await fetch(response.headers.get('location') ?? '', { method: 'POST' })
  assert.equal(simulator.stats().redirectsFollowed, 1)
})

test('answers that lack or spoil the refresh token leave the presented one good', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const seed = simulator.seedRefreshToken()
  const withFault = async (fault: string) => {
    simulator.inject(`${fault}@1`)
    return answerOf(refresh(simulator, seed))
  }
  assert.equal((await withFault('token-null-refresh')).refresh_token, null)
  assert.equal('refresh_token' in (await withFault('token-no-refresh')), false)
  assert.equal((await withFault('token-same-refresh')).refresh_token, seed)
  assert.match((await withFault('token-control-chars')).access_token, /\r\n/)
  assert.match((await withFault('token-space')).access_token, /\S \S/)
  assert.equal((await withFault('token-no-access')).access_token, undefined)
  assert.equal((await refresh(simulator, seed)).status, 200)
  assert.equal(simulator.reuseEvents, 0)
})

test('token-expires-in takes any JSON or text, and missing leaves the field out', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', rotation: 'long-lived' })
  const seed = simulator.seedRefreshToken()
  const cases: [string, unknown][] = [
    ['token-expires-in@1', undefined],
    ['token-expires-in=3599@1', 3599],
    ['token-expires-in="3600"@1', '3600'],
    ['token-expires-in=NaN@1', 'NaN'],
    ['token-expires-in=-1@1', -1],
    ['token-expires-in=1e12@1', 1e12],
    ['token-expires-in=null@1', null],
  ]
  for (const [fault, expected] of cases) {
    simulator.inject(fault)
    assert.deepEqual((await answerOf(refresh(simulator, seed))).expires_in, expected, fault)
  }
})

test('token-201 and token-no-type issue tokens all the same', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  simulator.inject('token-201@1')
  const created = await refresh(simulator, simulator.seedRefreshToken())
  assert.equal(created.status, 201)
  simulator.inject('token-no-type@1')
  const typeless = await answerOf(refresh(simulator, (await answerOf(created)).refresh_token))
  assert.equal('token_type' in typeless, false)
  assert.equal((await refresh(simulator, typeless.refresh_token)).status, 200)
})
