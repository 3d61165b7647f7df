import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import type { SimulatorStats } from '../../src/simulator/simulator.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { answerOf, refresh, refusal, simulated } from './client.ts'

async function controlled(t: TestContext) {
  const { simulator } = await simulated(t, { provider: 'generic' })
  const post = async (name: string, body?: unknown) => {
    const response = await fetch(`${simulator.url}/__simulator/${name}`, {
      method: 'POST',
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const get = async (name: string) => (await fetch(`${simulator.url}/__simulator/${name}`)).json()
  return { simulator, post, get }
}

test('curl alone can seed, revoke and look', async (t) => {
  const { simulator, post, get } = await controlled(t)
  const { refreshToken } = (await post('seed')).body
  const tokens = await answerOf(refresh(simulator, String(refreshToken)))
  const call = async () =>
    (await fetch(simulator.url, { headers: { authorization: `Bearer ${tokens.access_token}` } })).status
  assert.equal(await call(), 200)
  assert.deepEqual(await post('revoke-access-tokens'), { status: 200, body: { ok: true } })
  assert.equal(await call(), 401)
  await post('revoke-grants')
  assert.deepEqual(await refusal(refresh(simulator, tokens.refresh_token)), [400, 'invalid_grant'])
  assert.deepEqual(await get('stats'), {
    apiRequests: 2,
    tokenRequests: 2,
    redirectsFollowed: 0,
    reuseEvents: 0,
    faults: [],
  })
  const log = (await get('token-requests')) as { outcome: string }[]
  assert.deepEqual(
    log.map(({ outcome }) => outcome),
    ['issued', 'invalid_grant'],
  )
})

test('faults are ordered as text or as an object, and cleared', async (t) => {
  const { simulator, post, get } = await controlled(t)
  await post('fault', { fault: 'token-500', count: 1 })
  await post('fault', { name: 'token-503', value: '4', on: 'client_credentials' })
  const { faults } = (await get('stats')) as SimulatorStats
  assert.deepEqual(faults, [
    { name: 'token-500', count: 1 },
    { name: 'token-503', value: '4', on: 'client_credentials' },
  ])
  assert.equal((await refresh(simulator, 'x')).status, 500)
  assert.equal((await refresh(simulator, 'x')).status, 400)
  await post('clear-faults')
  assert.deepEqual(simulator.stats().faults, [])
})

test('mistakes are named', async (t) => {
  const { simulator, post } = await controlled(t)
  assert.deepEqual(await post('fault', { fault: 'nope' }), {
    status: 400,
    body: { error: 'no fault is called "nope"; "simulate --fault list" shows them all' },
  })
  assert.equal((await post('fault', {})).status, 400)
  assert.equal((await post('fault', { name: 'token-429', value: 5 })).status, 200)
  assert.equal((await post('fault', null)).status, 400)
  assert.equal((await post('device', { userCode: 'x' })).status, 400)
  assert.equal((await post('constructor')).status, 404)
  const response = await fetch(`${simulator.url}/__simulator/fault`, { method: 'POST', body: '{' })
  assert.equal(response.status, 400)
})

test('a port in use, a foreign address and an unknown provider are refused', async (t) => {
  const { simulator } = await controlled(t)
  const port = Number(new URL(simulator.url).port)
  await assert.rejects(startSimulator({ provider: 'generic', port }), { code: 'EADDRINUSE' })
  await assert.rejects(startSimulator({ provider: 'generic', host: '0.0.0.0' }), RangeError)
  await assert.rejects(startSimulator({ provider: 'toString' as 'generic' }), RangeError)
})

test('the simulator imports nothing from the rest of the program', () => {
  const folder = new URL('../../src/simulator/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  assert.ok(files.length > 20)
  for (const file of files) {
    const depth = file.split('/').length
    for (const [, source = ''] of readFileSync(new URL(file, folder), 'utf8').matchAll(/from '([^']+)'/g)) {
      const outside = depth === 1 ? source.startsWith('../') : source.startsWith('../../')
      assert.equal(outside, false, `${file} imports ${source}`)
    }
  }
})
