import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { credentialDocument, credentialStatus } from '../../src/admin/status-document.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { adminConfig, call, empty, FakeCredentials, info, minutes, startAdmin, working } from './fixture.ts'

test('status is version, start, credentials, routes and store', async (t) => {
  const { url } = await startAdmin(t, new FakeCredentials(working(), empty({ name: 'ctct' })))
  const answer = await call(`${url}/status`)
  assert.match(String(answer.headers['content-type']), /^application\/json/)
  const { credentials, ...rest } = answer.json()
  assert.deepEqual(rest, { version: '1.2.3', startedAt: minutes(-60), routes: info.routes, store: info.store })
  const [sky, ctct] = credentials as Record<string, unknown>[]
  assert.deepEqual(sky, {
    name: 'sky',
    provider: 'blackbaud-sky',
    state: 'active',
    accessTokenExpiresAt: minutes(52),
    refreshTokenExpiresAt: minutes(212 * 24 * 60),
    lastRefresh: { at: minutes(-8), reason: 'expiry', outcome: 'success' },
    unsaved: false,
    lastError: null,
    nextStep: null,
    accessTokenIssuedAt: minutes(-8),
    retryAt: null,
    refreshable: true,
    usable: true,
    history: [{ at: minutes(-8), reason: 'expiry', outcome: 'success' }],
  })
  assert.equal(ctct?.state, 'login_required')
  assert.equal(ctct.accessTokenExpiresAt, null)
})

test('ten thousand subjects come without their histories', async (t) => {
  const subjects = Array.from({ length: 10_000 }, (_, index) => working({ subject: `tenant-${index}` }))
  const { url } = await startAdmin(t, new FakeCredentials(working(), ...subjects))
  const answer = await call(`${url}/status`)
  const credentials = answer.json().credentials as { subject?: string; history?: unknown }[]
  assert.equal(credentials.length, 10_001)
  assert.equal(credentials[1]?.subject, 'tenant-0')
  assert.ok(credentials[0]?.history)
  assert.equal(credentials[1].history, undefined)
})

test('the document goes back into a status without a loss', () => {
  assert.deepEqual(credentialStatus(credentialDocument(working())), working())
})

test('the admin port works over a unix socket of mode 0600', async (t) => {
  const socketPath = join(tempDir(t), 'admin.sock')
  await startAdmin(t, new FakeCredentials(working()), { config: adminConfig({ listen: `unix:${socketPath}` }) })
  assert.equal(statSync(socketPath).mode & 0o777, 0o600)
  assert.equal((await call('http://localhost/status', { socketPath })).status, 200)
  assert.equal((await call('http://evil.example/status', { socketPath })).status, 403)
})

test('closing waits for a running answer, then for no longer than its grace', async (t) => {
  const credentials = new FakeCredentials(working())
  let finish = () => {}
  const began = new Promise<void>((resolve) => {
    credentials.refresh = () => {
      resolve()
      return new Promise((done) => (finish = () => done(working())))
    }
  })
  const { url, close } = await startAdmin(t, credentials)
  const answer = call(`${url}/credentials/sky/refresh`, { method: 'POST' })
  await began
  const closed = close(60_000)
  finish()
  assert.equal((await answer).status, 200)
  await closed
  await assert.rejects(call(`${url}/livez`), /ECONNREFUSED/)
})

test('an answer that never comes is cut off when the grace is over', async (t) => {
  const credentials = new FakeCredentials(working())
  const began = new Promise<void>((resolve) => {
    credentials.refresh = () => {
      resolve()
      return new Promise(() => {})
    }
  })
  const { url, close, clock } = await startAdmin(t, credentials)
  const answer = assert.rejects(call(`${url}/credentials/sky/refresh`, { method: 'POST' }), /socket hang up/)
  await began
  const closed = close(5000)
  await clock.advance(5000)
  await answer
  await closed
})
