import assert from 'node:assert/strict'
import test from 'node:test'
import { readyReport } from '../../src/admin/probes.ts'
import { adminConfig, call, empty, FakeCredentials, startAdmin, working } from './fixture.ts'

const running = { started: true, stopping: false }

test('livez is 200 whatever the tokens and the start-up are like', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(empty()), { started: () => false })
  assert.equal((await call(`${url}/livez`)).status, 200)
})

test('startupz waits for the proxy port, not for a login', async (t) => {
  let started = false
  const { url } = await startAdmin(t, new FakeCredentials(empty()), { started: () => started })
  assert.equal((await call(`${url}/startupz`)).status, 503)
  started = true
  assert.equal((await call(`${url}/startupz`)).status, 200)
})

test('readyz names the credential, what is wrong with it and what to do', async (t) => {
  const broken = empty({ name: 'ctct', lastError: null, nextStep: 'Run: bearer-sidecar login ctct' })
  const { url } = await startAdmin(t, new FakeCredentials(working(), broken))
  const answer = await call(`${url}/readyz`)
  assert.equal(answer.status, 503)
  assert.deepEqual(answer.json(), {
    status: 'not ready',
    problems: [
      {
        credential: 'ctct',
        problem: 'no_usable_token',
        message: 'Nobody has logged in yet.',
        nextStep: 'Run: bearer-sidecar login ctct',
      },
    ],
  })
})

test('readyz is 200 when every credential is usable', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working(), working({ name: 'b', state: 'degraded' })))
  const answer = await call(`${url}/readyz`)
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json(), { status: 'ok', problems: [] })
})

test('a token set that could not be saved makes it unready though requests still work', () => {
  const report = readyReport([working({ unsaved: true, lastError: 'The disk is full.' })], running)
  assert.equal(report.ready, false)
  assert.deepEqual(
    report.problems.map(({ credential, problem, message }) => [credential, problem, message]),
    [['sky', 'unsaved', 'The disk is full.']],
  )
})

test('a subject without a login takes nobody else out of service', () => {
  assert.equal(readyReport([working(), empty({ subject: 'tenant-7', unsaved: true })], running).ready, true)
})

test('a process that starts or stops is not ready', () => {
  assert.deepEqual(
    readyReport([working()], { started: false, stopping: false }).problems.map(({ problem }) => problem),
    ['starting'],
  )
  assert.deepEqual(
    readyReport([working()], { started: true, stopping: true }).problems.map(({ problem }) => problem),
    ['shutting_down'],
  )
})

test('probesListen answers under any Host, and has the probes and the metrics only', async (t) => {
  const credentials = new FakeCredentials(working())
  const { probesUrl } = await startAdmin(t, credentials, { config: adminConfig({ probesListen: '127.0.0.1:0' }) })
  const headers = { host: '10.42.0.7:9091' }
  for (const path of ['/livez', '/startupz', '/readyz', '/metrics']) {
    assert.equal((await call(`${probesUrl}${path}`, { headers })).status, 200, path)
  }
  for (const path of ['/', '/status', '/callback?state=s1&code=c', '/credentials/sky/authorize']) {
    assert.equal((await call(`${probesUrl}${path}`, { headers })).status, 404, path)
  }
  for (const [method, path] of [
    ['POST', 'refresh'],
    ['PUT', 'token'],
    ['DELETE', 'token'],
  ] as const) {
    assert.equal((await call(`${probesUrl}/credentials/sky/${path}`, { method, headers })).status, 404, path)
  }
  assert.deepEqual(credentials.calls, [])
})

test('with listen: false the probes address works alone', async (t) => {
  const config = adminConfig({ listen: false, probesListen: '127.0.0.1:0' })
  const { url, probesUrl } = await startAdmin(t, new FakeCredentials(working()), { config })
  assert.equal(url, '')
  assert.equal((await call(`${probesUrl}/livez`)).status, 200)
})

test('HEAD is answered as GET without the body', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working()))
  const answer = await call(`${url}/readyz`, { method: 'HEAD' })
  assert.equal(answer.status, 200)
  assert.equal(answer.body, '')
})
