import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/errors.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { hour, minute, World } from './fixture.ts'

const codeOf = (error: unknown) => (error instanceof ProxyError ? error.code : String(error))

describe('token() while the token is fresh', () => {
  it('returns it at once, not as a promise, and asks nobody', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const token = manager.token()
    assert.ok(token instanceof TokenSet, 'a fresh token must not cost a turn of the event loop')
    assert.equal(token.accessToken, 'access-0')
    await world.clock.advance(54 * minute)
    assert.ok(manager.token() instanceof TokenSet)
    assert.equal(world.server.calls, 0)
  })

  it('is the same for a token whose life is not known', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({}, { expiresAt: undefined })
    await world.clock.advance(1000 * hour)
    assert.ok(manager.token() instanceof TokenSet)
    assert.equal(world.server.calls, 0)
  })
})

describe('token() inside the early window', () => {
  it('returns the living token and refreshes behind, exactly once for any number of callers', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const release = world.server.hold()
    await world.clock.advance(56 * minute)
    const served = await Promise.all(Array.from({ length: 100 }, async () => manager.token()))
    assert.deepEqual([...new Set(served.map((set) => set.accessToken))], ['access-0'])
    release()
    await world.quiet()
    assert.equal(world.server.calls, 1)
    const next = manager.token()
    assert.ok(next instanceof TokenSet)
    assert.equal(next.accessToken, 'access-3')
  })

  it('goes on serving the living token while the token endpoint fails, without a call per request', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 500 }, { status: 500 }, { status: 500 })
    await world.clock.advance(56 * minute)
    for (let request = 0; request < 50; request++) assert.equal((await manager.token()).accessToken, 'access-0')
    await world.quiet()
    for (let request = 0; request < 50; request++) assert.equal((await manager.token()).accessToken, 'access-0')
    assert.equal(world.server.calls, 1)
    assert.equal(manager.status().state, 'degraded')
  })

  it('does not wait for a failing token endpoint when a longer life is asked for', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 500 })
    await world.clock.advance(59 * minute)
    const before = world.clock.now()
    assert.equal((await manager.token(2 * minute)).accessToken, 'access-0')
    assert.equal((await manager.token(2 * minute)).accessToken, 'access-0')
    assert.equal(world.clock.now(), before)
    assert.equal(world.server.calls, 1)
  })

  it('gets a longer life for a request that asks for it', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(56 * minute)
    assert.equal((await manager.token(10 * minute)).accessToken, 'access-3')
  })

  it('leaves a token alone that nothing can refresh', async (t) => {
    const world = await World.create(t)
    await world.stored(world.tokens())
    const manager = world.manager()
    await manager.open()
    void manager.token()
    let acquired = 0
    world.store.before = (operation) => {
      if (operation === 'acquire') acquired++
    }
    await world.clock.advance(56 * minute)
    assert.equal((await manager.token(10 * minute)).accessToken, 'access-0')
    await world.clock.advance(3 * minute)
    assert.equal(acquired, 0, 'no lease is taken for a refresh that cannot be')
    await world.clock.advance(hour)
    await assert.rejects(
      async () => manager.token(),
      (error) => codeOf(error) === 'login_required',
    )
    await world.clock.advance(hour)
    assert.equal(acquired, 1)
  })
})

describe('token() without a usable token', () => {
  it('makes one token call for 500 callers at a cold start', async (t) => {
    const world = await World.create(t)
    await world.stored(
      world.tokens({ accessToken: '', refreshToken: world.server.grant(), expiresAt: world.clock.now() }),
    )
    const manager = world.manager()
    let loads = 0
    world.store.before = (operation) => {
      if (operation === 'load') loads++
    }
    const served = await Promise.all(Array.from({ length: 500 }, async () => manager.token()))
    assert.deepEqual([...new Set(served.map((set) => set.accessToken))], ['access-3'])
    assert.equal(world.server.calls, 1)
    assert.ok(loads <= 2, `the store was read ${loads} times`)
  })

  it('makes one token call for 500 callers at expiry', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    const served = await Promise.all(Array.from({ length: 500 }, async () => manager.token()))
    assert.deepEqual([...new Set(served.map((set) => set.accessToken))], ['access-3'])
    assert.equal(world.server.calls, 1)
  })

  it('makes one token call for 500 callers of a client_credentials grant', async (t) => {
    const world = await World.create(t)
    const manager = world.manager({ grant: 'client_credentials' })
    const served = await Promise.all(Array.from({ length: 500 }, async () => manager.token()))
    assert.deepEqual([...new Set(served.map((set) => set.accessToken))], ['access-1'])
    assert.equal(world.server.calls, 1)
  })

  it('lets no caller that gives up take the refresh with it', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { timeout: '1s' } })
    await world.clock.advance(hour)
    const release = world.server.hold()
    const first = Promise.resolve(manager.token())
    first.catch(() => undefined)
    await world.until(() => world.server.calls === 1)
    // The first caller's patience ends while the provider thinks; the answer comes after all.
    await world.clock.advance(7_000)
    await assert.rejects(first, (error) => codeOf(error) === 'token_endpoint_unavailable')
    release()
    assert.equal((await manager.token()).accessToken, 'access-3')
    assert.equal(world.server.calls, 1)
    assert.deepEqual((await world.grantInStore())?.tokens?.refreshToken, 'refresh-2')
  })

  it('waits through passing faults, so that a caller sees none of them', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    world.server.failNext({ status: 500 }, { reset: true })
    const began = world.clock.now()
    const served = await Promise.all(Array.from({ length: 50 }, () => world.waitFor(manager.token())))
    assert.equal(served[0]?.accessToken, 'access-3')
    assert.equal(world.server.calls, 3)
    assert.ok(world.clock.now() - began <= 5_000)
  })

  it('tells the caller when to come back once its patience ends, and recovers by itself', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    world.server.failNext(...Array.from({ length: 20 }, () => ({ status: 503 })))
    const error = await world.waitFor(manager.token()).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof ProxyError)
    assert.equal(error.code, 'token_endpoint_unavailable')
    assert.ok((error.retryAfter ?? 0) >= 1)
    assert.doesNotMatch(error.detail, /127\.0\.0\.1|http|refresh-|access-/)
    assert.match(error.detail, /credential sky .*bearer-sidecar status, or open \/ on the admin port/)
    const calls = world.server.calls
    assert.ok(calls <= 4, `${calls} calls within five seconds`)
    world.server.forgetFaults()
    await world.clock.advance(minute)
    assert.equal((await world.waitFor(manager.token())).accessToken, 'access-3')
    assert.equal(manager.status().state, 'active')
    assert.equal(manager.status().lastError, null)
  })

  it('honours Retry-After: nobody asks before it is over, and callers are told', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    world.server.failNext({ status: 429, headers: { 'retry-after': '40' } })
    await assert.rejects(
      async () => manager.token(),
      (error) => error instanceof ProxyError && error.retryAfter === 40,
    )
    await world.clock.advance(34_000)
    await assert.rejects(
      async () => manager.token(),
      (error) => error instanceof ProxyError && error.retryAfter === 6,
    )
    assert.equal(manager.status().retryAt, new Date(world.clock.now() + 6000).toISOString())
    await world.clock.advance(5_000)
    const waiting = manager.token()
    await world.clock.advance(999)
    assert.equal(world.server.calls, 1)
    assert.equal((await world.waitFor(waiting, 1)).accessToken, 'access-3')
    assert.equal(manager.status().retryAt, null)
  })

  it('lets a person try again before a back-off is over', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 429, headers: { 'retry-after': '500' } })
    await assert.rejects(manager.refresh())
    await assert.rejects(async () => manager.renew(world.tokens(), 'always'))
    assert.equal(world.server.calls, 1, 'a rejection is no reason to press')
    assert.equal((await manager.refresh()).accessToken, 'access-3')
  })

  it('does not wait for what only a person can mend', async (t) => {
    const world = await World.create(t)
    await world.stored(undefined)
    const manager = world.manager({ authorizationUrl: 'https://provider.example/authorize' })
    const error = await Promise.resolve(manager.token()).catch((reason: unknown) => reason)
    assert.ok(error instanceof ProxyError)
    assert.equal(error.code, 'login_required')
    assert.match(error.detail, /bearer-sidecar login sky/)
    assert.match(error.detail, /\/credentials\/sky\/authorize/)
    assert.equal(manager.status().state, 'login_required')
    assert.equal(world.server.calls, 0)
  })

  it('says that the store is at fault when it is, and serves as soon as it is back', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    world.store.broken.add('save')
    const error = await world.waitFor(manager.token()).catch((reason: unknown) => reason)
    assert.ok(error instanceof ProxyError)
    assert.equal(error.code, 'store_unavailable')
    assert.match(error.detail, /credential sky .*bearer-sidecar status, or open \/ on the admin port/)
    assert.equal(world.server.calls, 0, 'no one-time token is spent while its replacement could not be saved')
    world.store.broken.clear()
    await world.clock.advance(minute)
    assert.equal((await world.waitFor(manager.token())).accessToken, 'access-3')
  })

  it('survives a refresh that ends in a way nobody thought of', async (t) => {
    const world = await World.create(t)
    await world.stored(world.tokens({ refreshToken: 'refresh-0', expiresAt: world.clock.now() }))
    const manager = world.manager({}, { request: () => Promise.reject(new TypeError('surprise')) })
    await assert.rejects(world.waitFor(manager.token()), (error) => codeOf(error) === 'token_endpoint_unavailable')
    assert.equal(manager.status().state, 'degraded')
    assert.notEqual(manager.status().retryAt, null)
  })
})

describe('a client_credentials grant', () => {
  it('needs neither lease nor store', async (t) => {
    const world = await World.create(t)
    for (const operation of ['load', 'save', 'acquire'] as const) world.store.broken.add(operation)
    const manager = world.manager({ grant: 'client_credentials' })
    assert.equal((await manager.token()).accessToken, 'access-1')
    await world.clock.advance(2 * hour)
    assert.equal((await manager.token()).accessToken, 'access-3', 'one came by the timer, because the first was used')
    const { unsaved, state } = manager.status()
    assert.deepEqual({ unsaved, state }, { unsaved: false, state: 'active' })
    assert.equal(await manager.close(), true, 'nothing is lost that could not be had again')
  })

  it('does not wait long for somebody who holds the lease and may be dead', async (t) => {
    const world = await World.create(t)
    const lease = await world.store.acquire({ credential: 'sky' }, 0)
    const manager = world.manager({ grant: 'client_credentials' })
    const began = world.clock.now()
    assert.equal((await world.waitFor(manager.token())).accessToken, 'access-1')
    assert.ok(world.clock.now() - began <= 2_500)
    await lease.release()
  })

  it('asks again when its client credentials were refused and a person says so', async (t) => {
    const world = await World.create(t)
    const manager = world.manager({ grant: 'client_credentials' })
    world.server.failNext({ status: 401, body: '{"error":"invalid_client"}' })
    const error = await Promise.resolve(manager.token()).catch((reason: unknown) => reason)
    assert.ok(error instanceof ProxyError)
    assert.equal(error.code, 'reauthorization_required')
    assert.match(
      error.detail,
      /of sky .*bearer-sidecar refresh sky, or POST \/credentials\/sky\/refresh on the admin port/,
    )
    assert.doesNotMatch(error.detail, /127\.0\.0\.1|http/)
    await world.clock.advance(hour)
    await assert.rejects(
      async () => manager.token(),
      (error) => codeOf(error) === 'reauthorization_required',
    )
    assert.equal(world.server.calls, 1)
    assert.match(manager.status().nextStep ?? '', /bearer-sidecar refresh sky/)
    await manager.refresh()
    assert.equal((await manager.token()).accessToken, 'access-1')
  })
})
