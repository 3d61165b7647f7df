import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { answerOf, refresh, refusal, simulated, tokenCall } from './client.ts'

async function sky(t: TestContext) {
  const { simulator, pass } = await simulated(t, { provider: 'blackbaud-sky' })
  const { access_token: token } = await answerOf(refresh(simulator, simulator.seedRefreshToken()))
  const key = simulator.settings.subscriptionKeys[0] ?? ''
  const headers = { authorization: `Bearer ${token}`, 'bb-api-subscription-key': key }
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${simulator.apiUrl}${path}`, { ...init, headers: { ...headers, ...(init.headers as object) } })
  return { simulator, pass, call, token }
}

const expiredText = 'The required Authorization header was missing or invalid, or the token has expired'

test('a token answer carries every field that Blackbaud documents', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const response = await refresh(simulator, simulator.seedRefreshToken())
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const answer = await answerOf(response)
  assert.deepEqual(Object.keys(answer).sort(), [
    'access_token',
    'email',
    'environment_id',
    'environment_name',
    'expires_in',
    'family_name',
    'given_name',
    'legal_entity_id',
    'legal_entity_name',
    'mode',
    'refresh_token',
    'refresh_token_expires_in',
    'scope',
    'token_type',
    'user_id',
  ])
  assert.equal(answer.expires_in, 3600)
  assert.equal(answer.refresh_token_expires_in, 31_536_000)
  assert.match(answer.access_token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
})

test('a preserving refresh keeps the refresh token and its date; an ordinary one replaces both', async (t) => {
  const { simulator, pass } = await simulated(t, { provider: 'blackbaud-sky' })
  const seed = simulator.seedRefreshToken()
  pass(86_400_000)
  const kept = await answerOf(refresh(simulator, seed, { preserve_refresh_token: 'true' }))
  assert.equal(kept.refresh_token, seed)
  assert.equal(kept.refresh_token_expires_in, 364 * 86_400)
  const rotated = await answerOf(refresh(simulator, seed))
  assert.notEqual(rotated.refresh_token, seed)
  assert.equal(rotated.refresh_token_expires_in, 365 * 86_400)
})

test('a preserving answer leaves refresh_token out when told to', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', preserveOmitsRefreshToken: true })
  const seed = simulator.seedRefreshToken()
  const kept = await answerOf(refresh(simulator, seed, { preserve_refresh_token: 'true' }))
  assert.equal('refresh_token' in kept, false)
  assert.equal((await refresh(simulator, seed)).status, 200)
})

test('the client proves itself by Basic, undecoded, or in the body; each mistake has its own description', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const { clientId, clientSecret } = simulator.settings
  const grant = () => ({ grant_type: 'refresh_token', refresh_token: simulator.seedRefreshToken() })
  const body = { client_id: clientId, client_secret: clientSecret }
  assert.equal((await tokenCall(simulator, { ...grant(), ...body }, {})).status, 200)

  const encoded = Buffer.from(`${clientId}:${encodeURIComponent(clientSecret)}`).toString('base64')
  const mistakes: [Record<string, string>, Record<string, string>, string][] = [
    [{}, { authorization: `Basic ${encoded}` }, 'The specified credentials were not valid.'],
    [{}, {}, 'The required credentials were not supplied.'],
    [{ client_secret: clientSecret }, {}, 'The required client_id parameter was not provided.'],
    [{ ...body, client_id: 'x' }, {}, "The value specified for the client_id parameter 'x' was not valid."],
  ]
  for (const [params, headers, description] of mistakes) {
    const response = await tokenCall(simulator, { ...grant(), ...params }, headers)
    assert.equal(response.status, 400)
    const { error, error_description } = await answerOf(response)
    assert.deepEqual([error, error_description], ['invalid_client', description])
  }
})

test('client credentials are not a grant of SKY', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  assert.deepEqual(await refusal(tokenCall(simulator, { grant_type: 'client_credentials' })), [
    400,
    'unsupported_grant_type',
  ])
})

test('401 means four things, told apart by the body alone', async (t) => {
  const { call, simulator } = await sky(t)
  const gateway = (message: string) => JSON.stringify({ statusCode: 401, message, status: 401, title: message })
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const response = await call(path, { headers })
    return [response.status, await response.text()]
  }
  const expired = [401, gateway(expiredText)]
  assert.deepEqual(await ask('/echo', { authorization: 'Bearer garbage' }), expired)
  assert.deepEqual(await ask('/echo', { authorization: 'Basic x' }), expired)
  const badKey =
    'Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription.'
  assert.deepEqual(await ask('/echo', { 'bb-api-subscription-key': 'wrong' }), [401, gateway(badKey)])
  const [status, role] = await ask('/school/v1/roles')
  assert.equal(status, 401)
  assert.equal(Buffer.byteLength(String(role)), 173)
  assert.match(String(role), /^\{"errors":\[\{"message":"You do not have access to this route\.","error_code":401,/)
  simulator.revokeAccessTokens()
  assert.deepEqual(await ask('/echo'), expired)
})

test('a call without a subscription key is told which header it lacks', async (t) => {
  const { simulator, token } = await sky(t)
  const response = await fetch(`${simulator.apiUrl}/echo`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(response.status, 401)
  assert.match(
    response.headers.get('www-authenticate') ?? '',
    /^AzureApiManagementKey .*name="Bb-Api-Subscription-Key"/,
  )
  assert.match(await response.text(), /missing subscription key/)
})

test('an access token ends on time', async (t) => {
  const { call, pass } = await sky(t)
  pass(3_599_999)
  assert.equal((await call('/echo')).status, 200)
  pass(1)
  assert.equal((await call('/echo')).status, 401)
})

test('both subscription keys work, and /payments/ takes none but its own', async (t) => {
  const { call, simulator } = await sky(t)
  const [, secondary = ''] = simulator.settings.subscriptionKeys
  const status = async (path: string, key: string) =>
    (await call(path, { headers: { 'bb-api-subscription-key': key } })).status
  assert.equal(await status('/echo', secondary), 200)
  assert.equal(await status('/payments/echo', secondary), 401)
  assert.equal(await status('/payments/echo', simulator.settings.paymentsKey), 200)
  assert.equal(await status('/echo', simulator.settings.paymentsKey), 401)
})

test('the echo tells method, target, headers and the digest of the body', async (t) => {
  const { call, simulator } = await sky(t)
  const body = Buffer.alloc(200_000, 0xe9)
  const response = await call('/echo/a%2Fb?q=%20', { method: 'PUT', body, headers: { 'x-one': 'yes' } })
  const seen = (await response.json()) as { method: string; target: string; headers: string[][]; body: object }
  const sha256 = createHash('sha256').update(body).digest('hex')
  assert.equal(seen.method, 'PUT')
  assert.equal(seen.target, '/echo/a%2Fb?q=%20')
  assert.ok(seen.headers.some(([name, value]) => name === 'x-one' && value === 'yes'))
  assert.deepEqual(seen.body, { bytes: 200_000, sha256 })
  const logged = simulator.requests.at(-1)
  assert.equal(logged?.target, '/echo/a%2Fb?q=%20')
  assert.equal(logged.sha256, sha256)
  assert.equal(logged.body.length, 65_536)
})

test('next_link is absolute, at the host the caller named, and the last page has none', async (t) => {
  const { call, simulator } = await sky(t)
  const ids: string[] = []
  let path: string | undefined = '/constituent/v1/constituents?limit=12'
  while (path !== undefined) {
    const page = (await (await call(path)).json()) as { count: number; value: { id: string }[]; next_link?: string }
    assert.equal(page.count, 30)
    ids.push(...page.value.map(({ id }) => id))
    if (page.next_link !== undefined) assert.ok(page.next_link.startsWith(`${simulator.url}/constituent/`))
    path = page.next_link?.slice(simulator.url.length)
  }
  assert.equal(new Set(ids).size, 30)
})

test('a document is uploaded to a pre-signed address at another host', async (t) => {
  const { call, simulator } = await sky(t)
  const response = await call('/constituent/v1/documents', { method: 'POST' })
  const { file_upload_request: upload } = (await response.json()) as { file_upload_request: Record<string, string> }
  assert.equal(upload.method, 'PUT')
  assert.match(upload.url ?? '', /^https:\/\/[^/]+\/files\/.+[?&]sig=/)
  assert.equal(upload.url?.includes(simulator.url), false)
})

test('unknown paths and bodies that are not JSON get the gateway shape', async (t) => {
  const { call } = await sky(t)
  const missing = await call('/nowhere')
  assert.equal(missing.status, 404)
  assert.match(await missing.text(), /^\{"statusCode":404,"message":"Resource not found"/)
  assert.equal((await call('/gift/v1/gifts', { method: 'POST', body: 'amount=1' })).status, 415)
  const created = await call('/gift/v1/gifts', {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(created.status, 200)
})

test('limits answer 429 for the second and 403 for the day, each with Retry-After', async (t) => {
  const { simulator, pass } = await simulated(t, { provider: 'blackbaud-sky', callsPerSecond: 2, callsPerDay: 3 })
  const { access_token: token } = await answerOf(refresh(simulator, simulator.seedRefreshToken()))
  const [key = ''] = simulator.settings.subscriptionKeys
  const headers = { authorization: `Bearer ${token}`, 'bb-api-subscription-key': key }
  const call = () => fetch(`${simulator.url}/echo`, { headers })
  assert.deepEqual([(await call()).status, (await call()).status], [200, 200])
  const tooMany = await call()
  assert.equal(tooMany.status, 429)
  assert.equal(tooMany.headers.get('retry-after'), '1')
  assert.equal(tooMany.headers.get('content-type'), 'application/problem+json')
  assert.equal(Buffer.byteLength(await tooMany.text()), 149)
  pass(1_000)
  assert.equal((await call()).status, 200)
  const quota = await call()
  assert.equal(quota.status, 403)
  assert.equal(quota.headers.get('retry-after'), String(86_399))
  assert.match(await quota.text(), /^\{"statusCode":403,"message":"Out of call volume quota\. .* in 23:59:59\."\}$/)
})
