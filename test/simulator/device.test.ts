import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { answerOf, refusal, simulated, tokenCall } from './client.ts'

interface DeviceAnswer {
  device_code: string
  user_code: string
  verification_uri: string
  verification_uri_complete: string
  expires_in: number
  interval: number
}

async function device(t: TestContext) {
  const { simulator, pass } = await simulated(t, { provider: 'constant-contact' })
  const begin = async () => {
    const body = new URLSearchParams({ client_id: simulator.settings.clientId, scope: 'contact_data offline_access' })
    const response = await fetch(simulator.deviceAuthorizationUrl ?? '', { method: 'POST', body })
    assert.equal(response.status, 200)
    return (await response.json()) as DeviceAnswer
  }
  const poll = (device_code: string) =>
    tokenCall(
      simulator,
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code,
        client_id: simulator.settings.clientId,
      },
      {},
    )
  return { simulator, pass, begin, poll }
}

test('a device waits for a person and then gets tokens once', async (t) => {
  const { begin, poll, pass } = await device(t)
  const login = await begin()
  assert.equal(login.interval, 5)
  assert.deepEqual(await refusal(poll(login.device_code)), [400, 'authorization_pending'])
  const page = await fetch(login.verification_uri_complete)
  assert.ok((await page.text()).includes(`value="${login.user_code}"`))
  const body = new URLSearchParams({ user_code: login.user_code.toLowerCase(), decision: 'allow' })
  assert.equal((await fetch(login.verification_uri, { method: 'POST', body })).status, 200)
  pass(5_000)
  const tokens = await answerOf(poll(login.device_code))
  assert.ok(tokens.access_token && tokens.refresh_token)
  pass(5_000)
  assert.deepEqual(await refusal(poll(login.device_code)), [400, 'invalid_grant'])
})

test('a device that polls too fast must wait five seconds more each time', async (t) => {
  const { begin, poll, pass } = await device(t)
  const { device_code } = await begin()
  await poll(device_code)
  pass(4_999)
  assert.deepEqual(await refusal(poll(device_code)), [400, 'slow_down'])
  pass(9_999)
  assert.deepEqual(await refusal(poll(device_code)), [400, 'slow_down'])
  pass(15_000)
  assert.deepEqual(await refusal(poll(device_code)), [400, 'authorization_pending'])
})

test('a refused login, one too old and an unknown one end', async (t) => {
  const { simulator, begin, poll, pass } = await device(t)
  const refused = await begin()
  assert.equal(simulator.decideDevice(refused.user_code, 'deny'), true)
  assert.deepEqual(await refusal(poll(refused.device_code)), [400, 'access_denied'])
  const old = await begin()
  pass(old.expires_in * 1_000)
  assert.deepEqual(await refusal(poll(old.device_code)), [400, 'expired_token'])
  assert.equal(simulator.decideDevice('NOBO-DYXX', 'allow'), false)
  assert.equal((await fetch(`${simulator.url}/device?user_code=NOBO-DYXX&auto=1`)).status, 404)
  assert.deepEqual(await refusal(poll('unknown')), [400, 'invalid_grant'])
})
