import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import type { Config } from '../../src/config/schema.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { CredentialService } from '../../src/tokens/credential-service.ts'
import { TokenSources } from '../../src/tokens/token-sources.ts'
import { AuthorizationServer } from '../helpers/authorization-server.ts'
import { credentialConfig } from '../helpers/credential-config.ts'
import { EventLog, minute } from '../tokens/fixture.ts'

/** Two processes over one store, in front of a real authorization server. */
async function start(t: TestContext) {
  const server = await AuthorizationServer.start(t, 3600)
  const sky = credentialConfig({
    clientId: server.clientId,
    clientSecret: server.clientSecret,
    authorizationUrl: `${server.issuer}/auth`,
    tokenUrl: `${server.issuer}/token`,
    redirectUri: server.redirectUri,
    clientAuthentication: 'basic',
    scopes: ['openid', 'offline_access'],
    authorizationParams: { prompt: 'consent' },
  })
  const config = {
    credentials: { sky },
    store: { lease: minute },
    notify: { refreshTokenWarnings: [] },
  } as unknown as Config
  const store = new MemoryStore(systemClock)
  const events = new EventLog()
  const processes = [0, 1].map(() => {
    const sources = new TokenSources(config, { store, clock: systemClock, random: Math.random, events })
    t.after(() => sources.close())
    const callbackUrl = () => server.redirectUri
    return { sources, service: new CredentialService(sources, { store, clock: systemClock, callbackUrl }) }
  })
  const [first, second] = processes
  assert.ok(first && second)
  return { server, store, events, first, second }
}

describe('a real authorization server with rotating refresh tokens and reuse detection', () => {
  it('gives tokens to a login with PKCE, state and iss', async (t) => {
    const { server, store, first } = await start(t)
    const { url } = await first.service.beginLogin('sky')
    const callback = await server.logIn(url)
    assert.equal(callback.searchParams.get('iss'), server.issuer)
    await first.service.finishLogin(callback.searchParams)
    const status = await first.service.status('sky')
    assert.equal(status.state, 'active')
    assert.equal(status.refreshable, true)
    assert.ok((await store.load({ credential: 'sky' }))?.grant.tokens?.refreshToken)
    await assert.rejects(first.service.finishLogin(callback.searchParams), /already used/)
  })

  it('revokes no grant in 30 forced refreshes by two processes under load, and every request gets a token', async (t) => {
    const { server, events, first, second } = await start(t)
    const { url } = await first.service.beginLogin('sky')
    await first.service.finishLogin((await server.logIn(url)).searchParams)
    await second.sources.manager('sky').open()
    const seen = new Set<string>()
    for (let round = 0; round < 30; round++) {
      const rejected = await Promise.all([first, second].map(async ({ sources }) => sources.manager('sky').token()))
      const renewed = await Promise.all(
        [first, second].flatMap(({ sources }, index) =>
          Array.from({ length: 20 }, async () => {
            const mine = rejected[index]
            assert.ok(mine)
            return sources.manager('sky').renew(mine, 'always')
          }),
        ),
      )
      for (const { accessToken } of renewed) seen.add(accessToken)
      assert.ok(renewed.every(({ accessToken }) => !rejected.some((old) => old.accessToken === accessToken)))
      await Promise.all([first, second].map(({ sources }) => sources.poll()))
    }
    assert.equal(server.revoked, 0)
    assert.equal(seen.size, 30, 'one refresh for each round, shared by both')
    assert.deepEqual([...new Set(events.refreshes.map(({ outcome }) => outcome))], ['success'])
  })

  it('ends the grant when a refresh token does come twice, and we say so once', async (t) => {
    const { server, store, first } = await start(t)
    const { url } = await first.service.beginLogin('sky')
    await first.service.finishLogin((await server.logIn(url)).searchParams)
    const spent = await store.load({ credential: 'sky' })
    assert.ok(spent)
    await first.service.refresh('sky')
    // What a restored backup does.
    const current = await store.load({ credential: 'sky' })
    await store.save({ credential: 'sky' }, spent.grant, current?.version)
    await first.sources.poll()
    await assert.rejects(first.service.refresh('sky'), /reauthorization_required|No usable token/)
    assert.equal((await first.service.status('sky')).state, 'reauthorization_required')
    assert.match((await first.service.status('sky')).lastError ?? '', /invalid_grant/)
    assert.equal(server.revoked, 1)
  })
})
