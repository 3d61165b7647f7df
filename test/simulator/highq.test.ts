import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { basic, simulated, tokenCall } from './client.ts'

const clientInBody = ({ settings }: Simulator) => ({
  client_id: settings.clientId,
  client_secret: settings.clientSecret,
})
const refreshing = (simulator: Simulator) => ({
  grant_type: 'refresh_token',
  refresh_token: simulator.seedRefreshToken(),
})

async function accessToken(simulator: Simulator): Promise<string> {
  const response = await tokenCall(simulator, { ...refreshing(simulator), ...clientInBody(simulator) }, {})
  return /<access_token>([^<]+)</.exec(await response.text())?.[1] ?? ''
}

test('everything stands below the instance, and tokens come as XML', async (t) => {
  const { simulator } = await simulated(t, { provider: 'highq', instance: 'main' })
  assert.equal(simulator.tokenUrl, `${simulator.url}/main/api/oauth2/token`)
  assert.equal(simulator.apiUrl, `${simulator.url}/main`)
  assert.equal(simulator.authorizationUrl, `${simulator.url}/main/authorize.action`)
  const response = await tokenCall(simulator, { ...refreshing(simulator), ...clientInBody(simulator) }, {})
  assert.match(response.headers.get('content-type') ?? '', /^application\/xml/)
  const text = await response.text()
  assert.match(text, /<TokenResponse>.*<expires_in>18000<.*<refresh_token_expires_in>31536000<.*<token_type>bearer</)
})

test('as JSON its numbers are text', async (t) => {
  const { simulator } = await simulated(t, { provider: 'highq', tokenFormat: 'json' })
  const response = await tokenCall(simulator, { ...refreshing(simulator), ...clientInBody(simulator) }, {})
  assert.equal(((await response.json()) as { expires_in: unknown }).expires_in, '18000')
})

test('a client that proves itself in a Basic field has sent nothing', async (t) => {
  const { simulator } = await simulated(t, { provider: 'highq' })
  const response = await tokenCall(simulator, refreshing(simulator), { authorization: basic(simulator) })
  assert.equal(response.status, 401)
  assert.match(await response.text(), /<error>invalid_client<\/error>/)
})

test('an expired token and a missing permission get one and the same 403', async (t) => {
  const { simulator, pass } = await simulated(t, { provider: 'highq' })
  const headers = { authorization: `Bearer ${await accessToken(simulator)}` }
  const call = async (path: string) => {
    const response = await fetch(`${simulator.apiUrl}/api/1/${path}`, { headers })
    return [response.status, response.headers.get('content-type'), await response.text()]
  }
  assert.equal((await call('sites'))[0], 200)
  const forbidden = await call('sites/9')
  assert.equal(forbidden[0], 403)
  pass(5 * 3_600_000)
  assert.deepEqual(await call('sites'), forbidden)
})

test('calls are limited per token, and the answer says until when', async (t) => {
  const { simulator } = await simulated(t, { provider: 'highq', callsPerSecond: 1 })
  const [one, other] = [await accessToken(simulator), await accessToken(simulator)]
  const call = (token: string) =>
    fetch(`${simulator.apiUrl}/api/1/sites`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal((await call(one)).status, 200)
  const limited = await call(one)
  assert.equal(limited.status, 429)
  assert.equal(limited.headers.get('x-ratelimit-reset'), String(Date.parse('2026-01-01T00:00:01Z') / 1_000))
  assert.equal((await call(other)).status, 200)
})
