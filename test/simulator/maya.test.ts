import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import type { CustomerTokens } from '../../src/simulator/simulator.ts'
import { answerOf, basic, simulated, tokenCall } from './client.ts'

async function miniApp(t: TestContext) {
  const { simulator, pass } = await simulated(t, { provider: 'maya-partner' })
  const { access_token: partner, expires_in } = await answerOf(
    tokenCall(simulator, { grant_type: 'client_credentials' }, { authorization: basic(simulator) }),
  )
  assert.equal(expires_in, 3600)
  const customer = simulator.seedCustomer()
  const headers = () => ({
    authorization: `Bearer ${partner}`,
    'x-authorization': customer.accessToken,
    'request-reference-no': randomUUID(),
  })
  const call = (changes: Record<string, string> = {}, path = '/profile') =>
    fetch(`${simulator.apiUrl}${path}`, { headers: { ...headers(), ...changes } })
  const renew = (refreshToken: string, changes: Record<string, string> = {}) =>
    fetch(simulator.customerTokenUrl ?? '', {
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/json', ...changes },
      body: JSON.stringify({ refreshToken }),
    })
  return { simulator, pass, call, renew, customer, partner }
}

test('a request needs the partner token, the bare customer token and a fresh reference', async (t) => {
  const { call, customer, partner } = await miniApp(t)
  const status = async (changes: Record<string, string>) => (await call(changes)).status
  assert.equal(await status({}), 200)
  assert.equal(await status({ authorization: `Bearer ${customer.accessToken}` }), 401)
  assert.equal(await status({ 'x-authorization': partner }), 401)
  assert.equal(await status({ 'x-authorization': `Bearer ${customer.accessToken}` }), 401)
  assert.equal(await status({ 'request-reference-no': '1' }), 400)
  assert.equal(await status({ 'request-reference-no': '00000000-0000-1000-8000-000000000000' }), 400)
  const reference = { 'request-reference-no': randomUUID() }
  assert.deepEqual([await status(reference), await status(reference)], [200, 400])
})

test('a customer is renewed with JSON, under the partner token, always with a new refresh token', async (t) => {
  const { simulator, renew, customer } = await miniApp(t)
  const answer = (await (await renew(customer.refreshToken)).json()) as CustomerTokens
  assert.deepEqual(Object.keys(answer).sort(), ['accessToken', 'expiresAt', 'refreshToken'])
  assert.equal(answer.expiresAt, Date.parse('2026-01-01T01:00:00Z') / 1_000)
  assert.equal(answer.accessToken.split('.').length, 5)
  assert.notEqual(answer.refreshToken, customer.refreshToken)
  assert.equal((await renew(answer.refreshToken, { authorization: 'Bearer no' })).status, 401)
  assert.equal((await renew(answer.refreshToken, { 'content-type': 'text/plain' })).status, 415)
  assert.equal((await renew(answer.refreshToken, { 'request-reference-no': 'x' })).status, 400)
  assert.equal((await renew(answer.refreshToken)).status, 200, 'the refused calls spent nothing')
  assert.equal((await renew(customer.refreshToken)).status, 400)
  assert.equal(simulator.reuseEvents, 1)
})

test('either token can be revoked alone', async (t) => {
  const { simulator, call, renew, customer } = await miniApp(t)
  simulator.revokeAccessTokens('customer')
  assert.equal((await call()).status, 401)
  const renewed = (await (await renew(customer.refreshToken)).json()) as CustomerTokens
  assert.equal((await call({ 'x-authorization': renewed.accessToken })).status, 200)
  simulator.revokeAccessTokens('client')
  assert.equal((await call({ 'x-authorization': renewed.accessToken })).status, 401)
})

test('401 is also the status of errors that no new token cures', async (t) => {
  const { simulator, call } = await miniApp(t)
  const code = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code]
  assert.deepEqual(await code(await fetch(simulator.apiUrl)), [401, 'K001'])
  assert.deepEqual(await code(await call({ authorization: 'Basic cGs6' })), [401, 'K004'])
  assert.deepEqual(await code(await call({}, '/payments/1/refunds')), [401, 'PY0047'])
  simulator.inject('api-401-key@1')
  assert.deepEqual(await code(await call()), [401, 'K003'])
})

test('under the name maya-customer the token URL is the customer endpoint of the same simulator', async (t) => {
  const { simulator } = await simulated(t, { provider: 'maya-customer' })
  assert.equal(simulator.tokenUrl, simulator.customerTokenUrl)
  assert.equal(simulator.partnerTokenUrl, `${simulator.url}/oauth2/token`)
  assert.equal(simulator.authorizationUrl, undefined)
})

test('a fault can be kept to one of the two token endpoints', async (t) => {
  const { simulator, renew, customer } = await miniApp(t)
  simulator.inject({ name: 'token-500', on: 'refresh_token' })
  assert.equal((await renew(customer.refreshToken)).status, 500)
  const partner = await tokenCall(simulator, { grant_type: 'client_credentials' })
  assert.equal(partner.status, 200)
})
