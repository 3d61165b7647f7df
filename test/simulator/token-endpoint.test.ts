import assert from 'node:assert/strict'
import { test } from 'node:test'
import { basic, refresh, refusal, simulated, tokenCall } from './client.ts'

test('generic takes Basic in form-encoding only, as RFC 6749 section 2.3.1 writes it', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const params = { grant_type: 'client_credentials' }
  const right = await tokenCall(simulator, params, { authorization: basic(simulator, true) })
  assert.equal(right.status, 200)
  assert.equal('refresh_token' in ((await right.json()) as object), false)
  const wrong = await tokenCall(simulator, params, { authorization: basic(simulator, false) })
  assert.equal(wrong.headers.get('www-authenticate'), 'Basic realm="token"')
  assert.deepEqual(await refusal(wrong), [401, 'invalid_client'])
})

test('generic refuses two client authentications in one request', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const { clientId, clientSecret } = simulator.settings
  const params = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret }
  const authorization = basic(simulator)
  assert.deepEqual(await refusal(tokenCall(simulator, params, { authorization })), [400, 'invalid_request'])
  assert.equal((await tokenCall(simulator, params, {})).status, 200)
})

test('malformed requests are refused before any token is spent', async (t) => {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const { clientId, clientSecret } = simulator.settings
  const seed = simulator.seedRefreshToken()
  const good = `client_id=${clientId}&client_secret=${encodeURIComponent(clientSecret)}`
  const post = (body: string, type = 'application/x-www-form-urlencoded') =>
    fetch(simulator.tokenUrl, { method: 'POST', headers: { 'content-type': type }, body })
  const invalid = [400, 'invalid_request']
  assert.equal((await fetch(simulator.tokenUrl)).status, 405)
  assert.deepEqual(await refusal(post(`${good}&grant_type=refresh_token&refresh_token=${seed}`, 'text/plain')), invalid)
  assert.deepEqual(await refusal(post(`${good}&grant_type=refresh_token&refresh_token=a&refresh_token=b`)), invalid)
  assert.deepEqual(await refusal(post(`${good}&grant_type=refresh_token`)), invalid)
  assert.deepEqual(await refusal(post(good)), invalid)
  assert.deepEqual(await refusal(post(`${good}&grant_type=password`)), [400, 'unsupported_grant_type'])
  assert.equal((await post(`${good}&grant_type=refresh_token&refresh_token=${seed}`)).status, 200)
})

test('token answers come as XML and as a form too', async (t) => {
  const { simulator: xml } = await simulated(t, { provider: 'generic', tokenFormat: 'xml' })
  const client = ({ clientId, clientSecret }: { clientId: string; clientSecret: string }) => ({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    scope: 'a&b',
  })
  const document = await tokenCall(xml, client(xml.settings), {})
  assert.equal(document.headers.get('content-type'), 'application/xml')
  assert.match(await document.text(), /<TokenResponse><access_token>[^<]+<.*<scope>a&amp;b<\/scope><\/TokenResponse>$/)
  const { simulator: form } = await simulated(t, { provider: 'generic', tokenFormat: 'form' })
  const fields = new URLSearchParams(await (await tokenCall(form, client(form.settings), {})).text())
  assert.equal(fields.get('expires_in'), '3600')
  assert.equal(fields.get('scope'), 'a&b')
})

test('500 refreshes at once, each of its own grant, all succeed with different tokens', async (t) => {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky' })
  const answers = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const response = await refresh(simulator, simulator.seedRefreshToken())
      return ((await response.json()) as { access_token: string }).access_token
    }),
  )
  assert.equal(new Set(answers).size, 500)
  assert.equal(simulator.stats().tokenRequests, 500)
})
