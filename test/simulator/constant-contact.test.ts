import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { answerOf, basic, refresh, simulated } from './client.ts'

async function contact(t: TestContext) {
  const { simulator } = await simulated(t, { provider: 'constant-contact', callsPerSecond: 4, callsPerDay: 6 })
  const { access_token: token } = await answerOf(refresh(simulator, simulator.seedRefreshToken()))
  const headers = { authorization: `Bearer ${token}` }
  return { simulator, call: (path: string) => fetch(`${simulator.url}${path}`, { headers }), token }
}

test('parameters may stand in the query string, and 24 hours are granted', async (t) => {
  const { simulator } = await simulated(t, { provider: 'constant-contact' })
  const query = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: simulator.seedRefreshToken() })
  const headers = { authorization: basic(simulator) }
  const response = await fetch(`${simulator.tokenUrl}?${query.toString()}`, { method: 'POST', headers })
  const answer = await answerOf(response)
  assert.equal(answer.expires_in, 86_400)
  assert.ok(answer.access_token.length >= 1_000 && answer.access_token.length <= 1_200)
  assert.equal('refresh_token_expires_in' in answer, false)
})

test('a refused refresh token is described as Constant Contact does', async (t) => {
  const { simulator } = await simulated(t, { provider: 'constant-contact' })
  const answer = await answerOf(refresh(simulator, 'unknown'))
  assert.deepEqual(
    [answer.error, answer.error_description],
    ['invalid_grant', 'The refresh token is invalid or expired.'],
  )
})

test('a bad token gets the 59 bytes and the headers that were captured', async (t) => {
  const { simulator } = await contact(t)
  const response = await fetch(`${simulator.apiUrl}/contacts`, { headers: { authorization: 'Bearer no' } })
  assert.equal(response.status, 401)
  assert.equal(response.headers.get('www-authenticate'), 'Bearer realm=api.cc.email')
  assert.equal(response.headers.get('x-amzn-errortype'), 'UnauthorizedException')
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.equal(response.headers.get('content-length'), '59')
  assert.equal(await response.text(), '{"error_key":"unauthorized","error_message":"Unauthorized"}')
})

test('links are relative to the path, and paths outside /v3 are forbidden', async (t) => {
  const { call } = await contact(t)
  const first = (await (await call('/v3/contacts?limit=7')).json()) as { _links: { next: { href: string } } }
  assert.equal(first._links.next.href, '/v3/contacts?limit=7&cursor=7')
  const last = (await (await call(first._links.next.href)).json()) as { contacts: unknown[]; _links: object }
  assert.deepEqual([last.contacts.length, last._links], [5, {}])
  const outside = await call('/v2/contacts')
  assert.deepEqual([outside.status, await outside.text()], [403, '{"message":"Forbidden"}'])
})

test('both kinds of 429 come without any hint when to come back', async (t) => {
  const { simulator, call } = await contact(t)
  for (let count = 0; count < 4; count++) assert.equal((await call('/v3/echo')).status, 200)
  const throttled = await call('/v3/echo')
  assert.equal(throttled.status, 429)
  assert.equal(await throttled.text(), '{"error_key":"throttled","error_message":"Too Many Requests"}')
  assert.equal(throttled.headers.has('retry-after'), false)
  simulator.inject('api-403-quota')
  const quota = await call('/v3/echo')
  assert.equal(quota.status, 429)
  assert.equal(await quota.text(), '{"error_key":"quota_exceeded","error_message":"Limit Exceeded"}')
  assert.equal(quota.headers.has('retry-after'), false)
})
