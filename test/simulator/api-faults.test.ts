import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { faultNames, faultTable, parseFault } from '../../src/simulator/faults.ts'
import { simulated } from './client.ts'

async function sky(t: TestContext, ...faults: string[]) {
  const { simulator } = await simulated(t, { provider: 'blackbaud-sky', faults })
  const headers = {
    authorization: `Bearer ${simulator.seedCustomer().accessToken}`,
    'bb-api-subscription-key': simulator.settings.subscriptionKeys[0] ?? '',
  }
  return { simulator, call: (path = '/echo') => fetch(`${simulator.url}${path}`, { headers }) }
}

const shapes: [string, number, RegExp, string | null][] = [
  ['api-401', 401, /or the token has expired"/, null],
  ['api-401-key', 401, /invalid subscription key/, null],
  ['api-401-role', 401, /^\{"errors":/, null],
  ['api-403', 403, /^\{"errors":/, null],
  ['api-403-quota', 403, /Quota will be replenished in 00:06:46\.\"/, '406'],
  ['api-429=3', 429, /Try again in 3 seconds/, '3'],
  ['api-500', 500, /^Internal Server Error$/, null],
  ['api-503', 503, /^no healthy upstream$/, null],
]
for (const [fault, status, body, retryAfter] of shapes) {
  test(`${fault} answers ${status} once and is over`, async (t) => {
    const { simulator, call } = await sky(t, `${fault}@1`)
    const response = await call()
    assert.equal(response.status, status)
    assert.match(await response.text(), body)
    assert.equal(response.headers.get('retry-after'), retryAfter)
    assert.equal((await call()).status, 200)
    assert.equal(simulator.requests.length, 2)
  })
}

for (const fault of ['api-reset', 'api-cut']) {
  test(`${fault} breaks the connection`, async (t) => {
    const { call } = await sky(t, `${fault}=1`)
    await assert.rejects(async () => (await call()).text())
    assert.equal((await call()).status, 200)
  })
}

test('api-timeout never answers; closing the simulator ends the wait', async (t) => {
  const { simulator, call } = await sky(t, 'api-timeout')
  const waiting = assert.rejects(call())
  while (simulator.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await simulator.close()
  await waiting
})

test('api-early answers while the body is still being sent', async (t) => {
  const { simulator } = await sky(t, 'api-early')
  const socket = connect(Number(new URL(simulator.url).port), '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nonly the beginning')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 413 [^]*\r\nconnection: close\r\n/i)
})

test('api-slow and latency delay an answer', async (t) => {
  const { call } = await sky(t, 'api-slow=80ms@1')
  const started = performance.now()
  await call()
  assert.ok(performance.now() - started >= 79)
})

test('a fault can be kept to a path', async (t) => {
  const { simulator, call } = await sky(t)
  simulator.inject({ name: 'api-503', on: '/echo/bad' })
  assert.deepEqual([(await call('/echo/good')).status, (await call('/echo/bad')).status], [200, 503])
  simulator.clearFaults()
  assert.equal((await call('/echo/bad')).status, 200)
})

test('without a count a fault stays until it is cleared', async (t) => {
  const { simulator, call } = await sky(t, 'api-500')
  for (let count = 0; count < 3; count++) assert.equal((await call()).status, 500)
  assert.deepEqual(simulator.stats().faults, [{ name: 'api-500' }])
  simulator.clearFaults()
  assert.equal((await call()).status, 200)
})

test('faults are written NAME, NAME=VALUE, NAME@COUNT, NAME=VALUE@COUNT, NAME=COUNT', () => {
  assert.deepEqual(parseFault('token-500'), { name: 'token-500' })
  assert.deepEqual(parseFault('token-500=2'), { name: 'token-500', count: 2 })
  assert.deepEqual(parseFault('token-500@2'), { name: 'token-500', count: 2 })
  assert.deepEqual(parseFault('token-429'), { name: 'token-429', value: '2' })
  assert.deepEqual(parseFault('token-slow=5s@2'), { name: 'token-slow', value: '5s', count: 2 })
  for (const wrong of ['', 'nope', 'constructor', 'token-500=x', 'token-500@0', 'token-slow=5', 'token-429=soon']) {
    assert.throws(() => parseFault(wrong), RangeError, wrong)
  }
})

test('every fault says in one sentence what it does', () => {
  for (const name of faultNames) {
    assert.match(name, /^(token|api|authorize)-[a-z0-9-]+$/)
    assert.match(faultTable[name].summary, /^[A-Z].*\.$/)
  }
})
