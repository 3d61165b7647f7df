import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Config } from '../../src/config/schema.ts'
import { ProxyError } from '../../src/errors.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { StoreError } from '../../src/stores/token-store.ts'
import { CredentialService } from '../../src/tokens/credential-service.ts'
import { LoginError, UnknownCredential } from '../../src/tokens/credentials.ts'
import { TokenSources } from '../../src/tokens/token-sources.ts'
import { TestClock } from '../helpers/clock.ts'
import { credentialConfig } from '../helpers/credential-config.ts'
import { ObservedStore } from '../helpers/observed-store.ts'
import { TokenServer } from '../helpers/token-server.ts'
import { EventLog, hour, minute } from './fixture.ts'

async function place(t: TestContext, fields: Record<string, unknown> = {}, store?: ObservedStore) {
  const clock = new TestClock()
  const kept = store ?? new ObservedStore(new MemoryStore(clock))
  const server = await TokenServer.start(t)
  const credentials = {
    sky: credentialConfig({ tokenUrl: server.url, authorizationUrl: `${server.url}/authorize`, ...fields }),
    maya: credentialConfig({ tokenUrl: server.url, grant: 'refresh_token', subjectHeader: 'X-Customer' }),
  }
  const config = { credentials, store: { lease: minute }, notify: { refreshTokenWarnings: [] } } as unknown as Config
  const sources = new TokenSources(config, { store: kept, clock, random: () => 0.5, events: new EventLog() })
  t.after(async () => {
    kept.broken.clear()
    await sources.close()
  })
  const callbackUrl = () => 'http://localhost:9090/callback'
  const service = new CredentialService(sources, { store: kept, clock, callbackUrl })
  return { clock, store: kept, server, sources, service, config }
}

const codeOf = (error: unknown) => (error instanceof ProxyError ? error.code : 'another error')

describe('a login', () => {
  it('ends in tokens that are saved and in effect', async (t) => {
    const { service, server, store } = await place(t)
    const { url, state } = await service.beginLogin('sky')
    assert.equal(new URL(url).searchParams.get('redirect_uri'), 'http://localhost:9090/callback')
    const result = await service.finishLogin(new URLSearchParams({ state, code: 'code-1' }))
    assert.deepEqual(result, { name: 'sky' })
    const { params } = server.requests[0] ?? {}
    assert.equal(params?.['code'], 'code-1')
    assert.equal(params['redirect_uri'], 'http://localhost:9090/callback')
    assert.ok((params['code_verifier'] ?? '').length >= 43)
    assert.match(await service.accessToken('sky'), /^access-/)
    assert.match((await store.inner.load({ credential: 'sky' }))?.grant.tokens?.refreshToken ?? '', /^refresh-/)
  })

  it('uses its state once', async (t) => {
    const { service, server } = await place(t)
    const { state } = await service.beginLogin('sky')
    const callback = () => service.finishLogin(new URLSearchParams({ state, code: 'code-1' }))
    const results = await Promise.allSettled([callback(), callback(), callback()])
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected'])
    await assert.rejects(callback(), LoginError)
    assert.equal(server.calls, 1)
  })

  it('knows no state that it did not give, and none for longer than ten minutes', async (t) => {
    const { service, server, clock } = await place(t)
    const { state } = await service.beginLogin('sky')
    for (const foreign of ['', 'x', 'constructor', state.toLowerCase() + 'x']) {
      await assert.rejects(service.finishLogin(new URLSearchParams({ state: foreign, code: 'c' })), LoginError)
    }
    await assert.rejects(service.finishLogin(new URLSearchParams({ code: 'c' })), LoginError)
    await clock.advance(10 * minute)
    await assert.rejects(service.finishLogin(new URLSearchParams({ state, code: 'c' })), LoginError)
    assert.equal(server.calls, 0)
  })

  it('burns its state when the provider says no', async (t) => {
    const { service, server } = await place(t)
    const { state } = await service.beginLogin('sky')
    await assert.rejects(service.finishLogin(new URLSearchParams({ state, error: 'access_denied' })), /access_denied/)
    await assert.rejects(service.finishLogin(new URLSearchParams({ state, code: 'c' })), /already used/)
    assert.equal(server.calls, 0)
  })

  it('keeps a bounded number of attempts, the newest ones', async (t) => {
    const { service } = await place(t)
    const first = await service.beginLogin('sky')
    let last = first
    for (let attempt = 0; attempt < 200; attempt++) last = await service.beginLogin('sky')
    await assert.rejects(service.finishLogin(new URLSearchParams({ state: first.state, code: 'c' })), LoginError)
    await service.finishLogin(new URLSearchParams({ state: last.state, code: 'c' }))
  })

  it('spends no code while the store could not take what it brings', async (t) => {
    const { service, server, store } = await place(t)
    const { state } = await service.beginLogin('sky')
    store.broken.add('ping')
    await assert.rejects(service.finishLogin(new URLSearchParams({ state, code: 'c' })), StoreError)
    assert.equal(server.calls, 0)
  })

  it('loses no tokens when the store fails after the exchange', async (t) => {
    const { service, server, store, clock } = await place(t)
    const { state } = await service.beginLogin('sky')
    server.onRequest.push(() => store.broken.add('save').add('load').add('acquire'))
    await service.finishLogin(new URLSearchParams({ state, code: 'c' }))
    assert.match(await service.accessToken('sky'), /^access-/)
    assert.equal((await service.status('sky')).unsaved, true)
    store.broken.clear()
    await clock.advance(minute)
    assert.match((await store.inner.load({ credential: 'sky' }))?.grant.tokens?.refreshToken ?? '', /^refresh-/)
  })

  it('keeps a refresh token that came alone', async (t) => {
    const { service, server } = await place(t)
    const { state } = await service.beginLogin('sky')
    server.failNext({ change: { access_token: '' } })
    await service.finishLogin(new URLSearchParams({ state, code: 'c' }))
    assert.match(await service.accessToken('sky'), /^access-/)
  })

  it('names no word and no secret of the provider when the code is refused', async (t) => {
    const { service, server } = await place(t)
    const { state } = await service.beginLogin('sky')
    server.failNext({ status: 400, body: '{"error":"invalid_grant","error_description":"<b>code-1</b>"}' })
    await assert.rejects(service.finishLogin(new URLSearchParams({ state, code: 'code-1' })), (error) => {
      assert.ok(error instanceof LoginError)
      assert.equal(error.message, 'The code could not be exchanged (invalid_grant). Start again.')
      return true
    })
    assert.equal((await service.status('sky')).state, 'login_required')
  })

  it('belongs to the subject that it was begun for', async (t) => {
    const { service, config, server } = await place(t)
    Object.assign(config.credentials['maya'] ?? {}, { authorizationUrl: `${server.url}/authorize` })
    const { state } = await service.beginLogin('maya', 'anna')
    assert.deepEqual(await service.finishLogin(new URLSearchParams({ state, code: 'c' })), {
      name: 'maya',
      subject: 'anna',
    })
    assert.match(await service.accessToken('maya', 'anna'), /^access-/)
    await assert.rejects(service.accessToken('maya', 'ben'), (error) => codeOf(error) === 'login_required')
  })
})

describe('export and import', () => {
  it('move a grant to another store without spending it', async (t) => {
    const from = await place(t)
    await from.service.adopt('sky', undefined, {
      access_token: 'access-1',
      expires_in: 3600,
      refresh_token: from.server.grant(),
      refresh_token_expires_in: 86_400,
    })
    const document = await from.service.export('sky')
    const to = await place(t)
    await to.clock.advance(minute)
    const status = await to.service.adopt('sky', undefined, JSON.stringify(document))
    assert.equal(status.state, 'active')
    assert.equal(await to.service.accessToken('sky'), 'access-1')
    const { accessTokenExpiresAt, refreshTokenExpiresAt } = await from.service.status('sky')
    assert.equal(status.accessTokenExpiresAt, accessTokenExpiresAt)
    assert.equal(status.refreshTokenExpiresAt, refreshTokenExpiresAt)
    assert.equal(from.server.calls + to.server.calls, 0)
  })

  it('export what another process stored last', async (t) => {
    const store = new ObservedStore(new MemoryStore(new TestClock()))
    const [mine, theirs] = [await place(t, {}, store), await place(t, {}, store)]
    await mine.service.adopt('sky', undefined, 'refresh-old')
    await theirs.service.status('sky')
    await theirs.service.adopt('sky', undefined, 'refresh-new')
    assert.equal((await mine.service.export('sky'))['refresh_token'], 'refresh-new')
  })

  it('say that there is nothing to export', async (t) => {
    const { service } = await place(t)
    await assert.rejects(service.export('sky'), LoginError)
  })

  it('refuse what is no token, and change nothing', async (t) => {
    const { service } = await place(t)
    await service.adopt('sky', undefined, 'refresh-1')
    await assert.rejects(service.adopt('sky', undefined, {}), LoginError)
    assert.equal((await service.export('sky'))['refresh_token'], 'refresh-1')
  })

  it('survive any time that a document names', async (t) => {
    const { service } = await place(t, {
      tokenResponse: { fields: { expiresAt: 'expires_at' } },
    })
    for (const expires_at of [1e300, -1, '+275760-09-13T00:00:00Z', 'never']) {
      const status = await service.adopt('sky', undefined, {
        access_token: 'a',
        expires_at,
        bearer_sidecar: { expiresAt: 1e20 },
      })
      assert.equal(status.state, 'active')
      await service.export('sky')
    }
  })
})

describe('the status of credentials', () => {
  it('is told without the store once it was read', async (t) => {
    const { service, store } = await place(t)
    await service.adopt('sky', undefined, 'refresh-1')
    store.broken.add('load')
    assert.equal((await service.status('sky')).state, 'active')
  })

  it('brings a login of another process into effect, whoever looks first', async (t) => {
    const store = new ObservedStore(new MemoryStore(new TestClock()))
    const [mine, theirs] = [await place(t, {}, store), await place(t, {}, store)]
    await mine.sources.open()
    await mine.service.adopt('sky', undefined, 'refresh-of-nobody')
    await assert.rejects(mine.service.refresh('sky'), (error) => codeOf(error) === 'reauthorization_required')
    await theirs.service.adopt('sky', undefined, {
      access_token: 'access-login',
      expires_in: 3600,
      refresh_token: mine.server.grant(),
    })
    await mine.service.status('sky')
    await mine.clock.advance(5_000)
    assert.equal((await mine.service.status('sky')).state, 'active')
    await mine.clock.advance(hour)
    assert.match(await mine.service.accessToken('sky'), /^access-\d/)
  })

  it('of one with subjects is that of its configuration', async (t) => {
    const { service } = await place(t)
    const { state, usable } = await service.status('maya')
    assert.deepEqual({ state, usable }, { state: 'active', usable: true })
    assert.equal((await service.status('maya', 'anna')).state, 'login_required')
  })

  it('lists the configured ones and the subjects in memory, not what a reload removed', async (t) => {
    const { service, sources, config, server, store } = await place(t)
    await sources.open()
    await service.adopt('maya', 'anna', 'refresh-1')
    const names = () => service.list().map(({ name, subject }) => [name, subject].filter(Boolean).join('/'))
    assert.deepEqual(names(), ['sky', 'maya', 'maya/anna'])
    await service.adopt('sky', undefined, server.grant())
    server.onRequest.push(() => store.broken.add('save'))
    await service.refresh('sky')
    const { maya } = config.credentials
    await sources.reconfigure({ ...config, credentials: maya === undefined ? {} : { maya } })
    assert.deepEqual(names(), ['maya', 'maya/anna'], 'although its tokens are still owed to the store')
  })

  it('gives a command that is safe to paste, whatever a caller names as subject', async (t) => {
    const { service } = await place(t)
    const { nextStep } = await service.status('maya', "x'; rm -rf ~ #")
    assert.equal(nextStep, `Run: bearer-sidecar import maya --subject 'x'\\''; rm -rf ~ #'`)
    assert.equal(
      (await service.status('maya', 'anna@example.com')).nextStep,
      'Run: bearer-sidecar import maya --subject anna@example.com',
    )
  })
})

describe('a credential that is named wrongly', () => {
  it('is unknown', async (t) => {
    const { service } = await place(t)
    for (const name of ['nope', '', '__proto__', 'constructor']) {
      await assert.rejects(service.status(name), UnknownCredential)
      await assert.rejects(service.accessToken(name), UnknownCredential)
      await assert.rejects(service.adopt(name, undefined, 'refresh-1'), UnknownCredential)
      await assert.rejects(service.beginLogin(name), UnknownCredential)
      await assert.rejects(service.forget(name), UnknownCredential)
    }
  })

  it('needs a subject where there is one grant per subject, and has none elsewhere', async (t) => {
    const { service, store } = await place(t)
    for (const attempt of [
      service.adopt('maya', undefined, 'refresh-1'),
      service.refresh('maya'),
      service.accessToken('maya'),
      service.forget('maya'),
      service.export('maya'),
    ]) {
      await assert.rejects(attempt, (error) => codeOf(error) === 'subject_required')
    }
    await assert.rejects(service.adopt('sky', 'anna', 'refresh-1'), (error) => codeOf(error) === 'bad_request')
    assert.deepEqual(await store.list(), [])
  })
})
