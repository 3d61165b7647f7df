import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerOf, refresh, refusal, simulated } from './client.ts'

const dead = [400, 'invalid_grant']

test('a consumed refresh token that comes back ends the whole family', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const seed = simulator.seedRefreshToken()
  const other = simulator.seedRefreshToken()
  const first = await answerOf(refresh(simulator, seed))
  assert.deepEqual(await refusal(refresh(simulator, seed)), dead)
  assert.deepEqual(await refusal(refresh(simulator, first.refresh_token)), dead)
  const call = await fetch(simulator.url, { headers: { authorization: `Bearer ${first.access_token}` } })
  assert.equal(call.status, 401)
  assert.equal(simulator.reuseEvents, 1)
  assert.deepEqual(
    simulator.tokenRequests.map(({ outcome, reason }) => reason ?? outcome),
    ['issued', 'reused', 'revoked'],
  )
  assert.equal((await refresh(simulator, other)).status, 200, 'another grant is not touched')
})

test('of two simultaneous refreshes with one token the second is a reuse', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const seed = simulator.seedRefreshToken()
  const statuses = await Promise.all([1, 2].map(async () => (await refresh(simulator, seed)).status))
  assert.deepEqual(statuses.sort(), [200, 400])
  assert.equal(simulator.reuseEvents, 1)
})

test('within the grace window a consumed token still works, at its end no longer', async (t) => {
  const { simulator, pass } = await simulated(t, { provider: 'generic', graceWindow: 45_000 })
  const seed = simulator.seedRefreshToken()
  await refresh(simulator, seed)
  pass(44_999)
  assert.equal((await refresh(simulator, seed)).status, 200)
  assert.equal(simulator.reuseEvents, 0)
  pass(1)
  assert.deepEqual(await refusal(refresh(simulator, seed)), dead)
  assert.equal(simulator.reuseEvents, 1)
})

test('a long-lived refresh token stays the same and lives as long as it is used', async (t) => {
  const day = 86_400_000
  const { simulator, pass } = await simulated(t, { provider: 'constant-contact', rotation: 'long-lived' })
  const seed = simulator.seedRefreshToken()
  for (let round = 0; round < 3; round++) {
    pass(179 * day)
    assert.equal((await answerOf(refresh(simulator, seed))).refresh_token, seed)
  }
  pass(180 * day)
  assert.deepEqual(await refusal(refresh(simulator, seed)), dead)
})

test('after a disconnect nothing can be refreshed, and access tokens live until they expire', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const { access_token, refresh_token } = await answerOf(refresh(simulator, simulator.seedRefreshToken()))
  simulator.revokeGrants()
  assert.deepEqual(await refusal(refresh(simulator, refresh_token)), dead)
  const call = await fetch(simulator.url, { headers: { authorization: `Bearer ${access_token}` } })
  assert.equal(call.status, 200)
  assert.equal(simulator.reuseEvents, 0)
})

test('expired refresh tokens are refused', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const seed = simulator.seedRefreshToken()
  simulator.expireRefreshTokens()
  assert.deepEqual(await refusal(refresh(simulator, seed)), dead)
  assert.equal(simulator.tokenRequests.at(-1)?.reason, 'expired')
})

test('a refresh ends the access token before it only when told to', async (t) => {
  for (const refreshRevokesAccessTokens of [false, true]) {
    const { simulator } = await simulated(t, { provider: 'generic', refreshRevokesAccessTokens })
    const before = await answerOf(refresh(simulator, simulator.seedRefreshToken()))
    await refresh(simulator, before.refresh_token)
    const call = await fetch(simulator.url, { headers: { authorization: `Bearer ${before.access_token}` } })
    assert.equal(call.status, refreshRevokesAccessTokens ? 401 : 200)
  }
})

test("a refresh token of one's own choice is good from the start, once", async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic', refreshToken: 'chosen' })
  assert.equal((await refresh(simulator, 'chosen')).status, 200)
  assert.deepEqual(await refusal(refresh(simulator, 'chosen')), dead)
})

test('the log of token calls holds fingerprints and no secret', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const seed = simulator.seedRefreshToken()
  const issued = await answerOf(refresh(simulator, seed))
  const log = JSON.stringify(simulator.tokenRequests)
  for (const secret of [seed, issued.refresh_token, issued.access_token, simulator.settings.clientSecret]) {
    assert.equal(log.includes(secret), false)
  }
  assert.match(simulator.tokenRequests[0]?.params.refresh_token ?? '', /^[0-9a-f]{12}$/)
})
