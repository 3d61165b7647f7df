import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Config, CredentialConfig } from '../../src/config/schema.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { emptyGrant } from '../../src/tokens/grant.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { TokenSources } from '../../src/tokens/token-sources.ts'
import { UnknownCredential } from '../../src/tokens/credentials.ts'
import { settle, TestClock } from '../helpers/clock.ts'
import { credentialConfig } from '../helpers/credential-config.ts'
import { ObservedStore } from '../helpers/observed-store.ts'
import { TokenServer } from '../helpers/token-server.ts'
import { EventLog, hour, minute } from './fixture.ts'

interface Place {
  readonly clock: TestClock
  readonly store: ObservedStore
  readonly server: TokenServer
  readonly events: EventLog
  sources(credentials: Record<string, CredentialConfig>, maxSubjects?: number): TokenSources
  subjects(fields?: Record<string, unknown>): Record<string, CredentialConfig>
}

async function place(t: TestContext): Promise<Place> {
  const clock = new TestClock()
  const store = new ObservedStore(new MemoryStore(clock))
  const server = await TokenServer.start(t)
  const events = new EventLog()
  return {
    clock,
    store,
    server,
    events,
    sources(credentials, maxSubjects) {
      const sources = new TokenSources(settings(credentials), {
        store,
        clock,
        random: () => 0.5,
        events,
        ...(maxSubjects !== undefined && { maxSubjects }),
      })
      t.after(async () => {
        store.broken.clear()
        await sources.close()
      })
      return sources
    },
    subjects: (fields = {}) => ({
      maya: credentialConfig({ tokenUrl: server.url, grant: 'refresh_token', subjectHeader: 'X-Customer', ...fields }),
    }),
  }
}

function settings(credentials: Record<string, CredentialConfig>): Pick<Config, 'credentials' | 'store' | 'notify'> {
  return { credentials, store: { lease: minute }, notify: { refreshTokenWarnings: [] } } as unknown as Config
}

const tokens = (clock: TestClock, refreshToken: string, accessToken = '', life = 0) =>
  new TokenSet({
    accessToken,
    refreshToken,
    issuedAt: clock.now(),
    expiresAt: clock.now() + life,
    refreshIssuedAt: clock.now(),
    refreshExpiresAt: undefined,
    scope: undefined,
  })

/** Gives a subject a grant of its own in the store. */
async function granted({ store, server, clock }: Place, subject: string): Promise<string> {
  const refreshToken = server.grant()
  await store.inner.save(
    { credential: 'maya', subject },
    { ...emptyGrant, tokens: tokens(clock, refreshToken) },
    undefined,
  )
  return refreshToken
}

const accessTokenOf = async (sources: TokenSources, subject: string) =>
  (await sources.source('maya', subject).token()).accessToken

describe('token sources of subjects', () => {
  it('keep 10,000 subjects apart, in bounded memory', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects(), 1_000)
    const names = Array.from({ length: 10_000 }, (_, index) => `customer-${index}`)
    for (const subject of names) {
      const set = tokens(world.clock, `refresh of ${subject}`, `access-of-${subject}`, hour)
      await world.store.inner.save({ credential: 'maya', subject }, { ...emptyGrant, tokens: set }, undefined)
    }
    for (let start = 0; start < names.length; start += 500) {
      const some = names.slice(start, start + 500)
      const served = await Promise.all(some.map((subject) => accessTokenOf(sources, subject)))
      assert.deepEqual(
        served,
        some.map((subject) => `access-of-${subject}`),
      )
    }
    assert.ok(sources.all().length <= 1_001, `${sources.all().length} managers are held`)
    assert.equal(await accessTokenOf(sources, 'customer-0'), 'access-of-customer-0', 'read again')
    assert.equal(world.server.calls, 0)
    await settle()
    assert.ok(world.clock.pending <= 1_100, `${world.clock.pending} timers run`)
  })

  it('let no subject use what belongs to another', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects())
    await granted(world, 'anna')
    const [anna, ben] = [sources.source('maya', 'anna'), sources.source('maya', 'ben')]
    assert.match((await anna.token()).accessToken, /^access-/)
    await assert.rejects(async () => ben.token(), /login_required/)
    await assert.rejects(async () => sources.source('maya').token(), /login_required/)
    world.server.revoke(await granted(world, 'cara'))
    await assert.rejects(async () => sources.source('maya', 'cara').token(), /reauthorization_required/)
    assert.match((await anna.token()).accessToken, /^access-/)
  })

  it('give the seed of the config to no subject: it is one grant', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects({ refreshToken: world.server.grant() }))
    for (const subject of ['anna', 'ben']) {
      await assert.rejects(async () => sources.source('maya', subject).token(), /login_required/)
    }
    assert.equal(world.server.calls, 0)
  })

  it('lose nothing, and ask once, when a subject is evicted during its refresh', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects(), 2)
    await granted(world, 'anna')
    const release = world.server.hold()
    const first = accessTokenOf(sources, 'anna')
    await until(() => world.server.calls === 1)
    for (let other = 0; other < 20; other++) await accessTokenOf(sources, `other-${other}`).catch(() => undefined)
    const again = Array.from({ length: 10 }, () => accessTokenOf(sources, 'anna'))
    await settle()
    release()
    assert.deepEqual([...new Set(await Promise.all([first, ...again]))], ['access-3'])
    assert.equal(world.server.calls, 1)
    assert.equal(
      (await world.store.inner.load({ credential: 'maya', subject: 'anna' }))?.grant.tokens?.refreshToken,
      'refresh-2',
    )
  })

  it('keep what could not be saved when its subject is evicted, and save it later', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects(), 2)
    await sources.open()
    await granted(world, 'anna')
    world.server.onRequest.push(() => world.store.broken.add('save'))
    assert.equal(await accessTokenOf(sources, 'anna'), 'access-3')
    for (let other = 0; other < 20; other++) await accessTokenOf(sources, `other-${other}`).catch(() => undefined)
    assert.equal(await accessTokenOf(sources, 'anna'), 'access-3', 'from memory: the store knows only the spent token')
    for (let other = 0; other < 20; other++) await accessTokenOf(sources, `other-${other}`).catch(() => undefined)
    assert.deepEqual(await sources.close(), ['maya'], 'reported when the process ends')
    world.store.broken.clear()
    assert.deepEqual(await sources.close(), [])
    assert.equal(
      (await world.store.inner.load({ credential: 'maya', subject: 'anna' }))?.grant.tokens?.refreshToken,
      'refresh-2',
    )
  })

  it('let go of an evicted subject once nothing is owed', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects(), 2)
    await sources.open()
    await granted(world, 'anna')
    world.server.onRequest.push(() => world.store.broken.add('save'))
    await accessTokenOf(sources, 'anna')
    for (let other = 0; other < 20; other++) await accessTokenOf(sources, `other-${other}`).catch(() => undefined)
    assert.equal(sources.all().length, 4)
    world.store.broken.clear()
    await world.clock.advance(20_000)
    assert.equal(sources.all().length, 3, 'the credential and two subjects')
    assert.equal(
      (await world.store.inner.load({ credential: 'maya', subject: 'anna' }))?.grant.tokens?.refreshToken,
      'refresh-2',
    )
  })

  it('go on for a request that outlived the eviction of its subject', async (t) => {
    const world = await place(t)
    const sources = world.sources(world.subjects(), 1)
    await granted(world, 'anna')
    const source = sources.source('maya', 'anna')
    const rejected = await source.token()
    for (let other = 0; other < 5; other++) await accessTokenOf(sources, `other-${other}`).catch(() => undefined)
    const renewed = await Promise.all([
      source.renew(rejected, 'always'),
      sources.source('maya', 'anna').renew(rejected, 'always'),
    ])
    assert.equal(renewed[0].accessToken, renewed[1].accessToken)
    assert.equal(world.server.calls, 2)
    assert.deepEqual(world.server.reused, [])
  })
})

describe('the poll of the store', () => {
  it("notices another process's login and rotation within five seconds", async (t) => {
    const world = await place(t)
    const credentials = { sky: credentialConfig({ tokenUrl: world.server.url }) }
    const [mine, theirs] = [world.sources(credentials), world.sources(credentials)]
    await mine.open()
    await theirs.open()
    await theirs.manager('sky').adopt(tokens(world.clock, world.server.grant(), 'access-login', hour))
    await world.clock.advance(5_000)
    const served = mine.manager('sky').token()
    assert.ok(served instanceof TokenSet)
    assert.equal(served.accessToken, 'access-login')
    await theirs.manager('sky').forget()
    await world.clock.advance(5_000)
    assert.equal(mine.manager('sky').status().state, 'login_required')
  })

  it('tells of a store that cannot be looked at, and when it is back', async (t) => {
    const world = await place(t)
    const sources = world.sources({ sky: credentialConfig({ tokenUrl: world.server.url }) })
    await sources.open()
    world.store.broken.add('versions')
    await world.clock.advance(2_000)
    assert.match(sources.storeError ?? '', /the test broke versions/)
    world.store.broken.clear()
    await world.clock.advance(2_000)
    assert.equal(sources.storeError, undefined)
  })

  it('goes on for the others when one document cannot be read', async (t) => {
    const world = await place(t)
    const config = credentialConfig({ tokenUrl: world.server.url })
    const sources = world.sources({ bad: config, good: config })
    await sources.open()
    const load = world.store.inner.load.bind(world.store.inner)
    world.store.inner.load = (id) => (id.credential === 'bad' ? Promise.reject(new Error('damaged')) : load(id))
    for (const credential of ['bad', 'good']) {
      await world.store.inner.save({ credential }, { ...emptyGrant, tokens: tokens(world.clock, 'r', 'access-new', hour) }, undefined) // prettier-ignore
    }
    await world.clock.advance(2_000)
    assert.equal((await sources.manager('good').token()).accessToken, 'access-new')
    assert.match(sources.storeError ?? '', /damaged/)
  })

  it('ends with close(), and so does every timer', async (t) => {
    const world = await place(t)
    const sources = world.sources({
      sky: credentialConfig({ tokenUrl: world.server.url, refresh: { keepAlive: '1h' } }),
    })
    await sources.open()
    await sources.manager('sky').adopt(tokens(world.clock, world.server.grant(), 'access-1', hour))
    assert.notEqual(world.clock.pending, 0)
    assert.deepEqual(await sources.close(), [])
    assert.equal(world.clock.pending, 0)
  })
})

describe('a reload', () => {
  it('keeps tokens, and uses the new settings for the next request', async (t) => {
    const world = await place(t)
    const fields = { tokenUrl: world.server.url, clientAuthentication: 'body' }
    const sources = world.sources({ sky: credentialConfig(fields) })
    await sources.manager('sky').adopt(tokens(world.clock, world.server.grant(), 'access-kept', hour))
    await sources.reconfigure(settings({ sky: credentialConfig({ ...fields, clientSecret: 'another' }) }))
    assert.equal((await sources.manager('sky').token()).accessToken, 'access-kept')
    await sources.manager('sky').refresh()
    assert.equal(world.server.requests[0]?.params['client_secret'], 'another')
  })

  it('adds and removes credentials', async (t) => {
    const world = await place(t)
    const config = credentialConfig({ tokenUrl: world.server.url })
    const sources = world.sources({ old: config })
    await sources.open()
    await sources.reconfigure(settings({ new: config }))
    assert.deepEqual(sources.names, ['new'])
    assert.throws(() => sources.manager('old'), UnknownCredential)
    assert.throws(() => sources.manager('old', 'somebody'), UnknownCredential)
    assert.throws(() => sources.credential('constructor'), UnknownCredential)
    assert.equal(sources.manager('new').status().state, 'login_required')
  })

  it('changes nothing when the grant of a new credential cannot be read', async (t) => {
    const world = await place(t)
    const config = credentialConfig({ tokenUrl: world.server.url })
    const sources = world.sources({ old: config })
    await sources.open()
    world.store.broken.add('load')
    await assert.rejects(sources.reconfigure(settings({ new: config })))
    assert.deepEqual(sources.names, ['old'])
    assert.equal(sources.manager('old').status().state, 'login_required')
  })

  it('loses no unsaved token of a credential that it removes, nor when a later one brings it back', async (t) => {
    const world = await place(t)
    const config = credentialConfig({ tokenUrl: world.server.url })
    const sources = world.sources({ sky: config })
    await sources.open()
    await sources.manager('sky').adopt(tokens(world.clock, world.server.grant()))
    world.server.onRequest.push(() => world.store.broken.add('save'))
    await sources.manager('sky').token()
    world.server.onRequest.length = 0
    await sources.reconfigure(settings({}))
    await sources.reconfigure(settings({ sky: config }))
    assert.equal((await sources.manager('sky').token()).accessToken, 'access-3')
    await sources.reconfigure(settings({}))
    world.store.broken.clear()
    await world.clock.advance(20_000)
    assert.equal((await world.store.inner.load({ credential: 'sky' }))?.grant.tokens?.refreshToken, 'refresh-2')
    assert.equal(sources.all().length, 0)
    assert.deepEqual(world.server.reused, [])
  })
})

describe("a credential whose requests another one's token authorises", () => {
  const pair = ({ server }: Place) => ({
    partner: credentialConfig({ tokenUrl: server.url, grant: 'client_credentials' }),
    customer: credentialConfig({
      tokenUrl: server.url,
      grant: 'refresh_token',
      clientAuthentication: 'credential:partner',
    }),
  })

  it('gets that token first', async (t) => {
    const world = await place(t)
    const sources = world.sources(pair(world))
    await sources.manager('customer').adopt(tokens(world.clock, world.server.grant()))
    await sources.manager('customer').token()
    const [first, second] = world.server.requests
    assert.equal(first?.params['grant_type'], 'client_credentials')
    assert.equal(second?.headers.authorization, 'Bearer access-2')
  })

  it('tells its callers what the other one lacks, and works as soon as that is mended', async (t) => {
    const world = await place(t)
    const sources = world.sources(pair(world))
    await sources.manager('customer').adopt(tokens(world.clock, world.server.grant()))
    world.server.failNext({ status: 401, body: '{"error":"invalid_client"}' })
    await assert.rejects(
      async () => sources.manager('customer').token(),
      /reauthorization_required.*client credentials of partner/,
    )
    assert.equal(sources.manager('customer').status().state, 'degraded')
    assert.match(sources.manager('customer').status().nextStep ?? '', /partner/)
    assert.equal((await world.store.inner.load({ credential: 'customer' }))?.grant.attempt, undefined)
    for (let turn = 0; turn < 6; turn++) {
      await world.clock.advance(1_000)
      await assert.rejects(async () => sources.manager('customer').token(), /client credentials of partner/)
    }
    assert.equal(world.server.calls, 1, 'nothing was asked of the token endpoint')
    await sources.manager('partner').refresh()
    await world.clock.advance(1_000)
    assert.match((await sources.manager('customer').token()).accessToken, /^access-/)
    assert.deepEqual(world.server.reused, [])
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    if (turn > 5_000) throw new Error('the condition never held')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
