import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreError } from '../../src/stores/token-store.ts'
import { fingerprint } from '../../src/tokens/grant.ts'
import type { TokenManager } from '../../src/tokens/token-manager.ts'
import { hour, minute, sky, World } from './fixture.ts'

/** What happened to store and token endpoint, in order. */
function story(world: World): string[] {
  const log: string[] = []
  world.store.before = (operation, grant) => {
    if (operation !== 'save') log.push(operation)
    else if (grant?.death !== undefined) log.push('save death')
    else log.push(grant?.attempt === undefined ? `save ${grant?.tokens?.refreshToken ?? 'nothing'}` : 'save attempt')
  }
  world.server.onRequest.push(({ params }) => log.push(`POST ${params['refresh_token'] ?? ''}`))
  return log
}

async function refused(manager: TokenManager): Promise<string> {
  return Promise.resolve(manager.token()).then(
    ({ accessToken }) => `got ${accessToken}`,
    (error: unknown) => (error instanceof Error ? error.message : 'no error'),
  )
}

describe('a rotation', () => {
  it('takes the lease, reads again, journals the attempt, asks once, saves, and only then hands out the token', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const log = story(world)
    await world.clock.advance(hour)
    const handedOut = Promise.resolve(manager.token()).then(({ accessToken }) => log.push(`served ${accessToken}`))
    await handedOut
    assert.deepEqual(log, ['acquire', 'load', 'save attempt', 'POST refresh-1', 'save refresh-2', 'served access-3'])
    const grant = await world.grantInStore()
    assert.equal(grant?.attempt, undefined)
    assert.deepEqual(grant?.history, [{ at: world.clock.now(), reason: 'expiry', outcome: 'success' }])
  })

  it('sends nothing when the attempt cannot be journaled', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    world.store.broken.add('save')
    assert.match(await world.waitFor(refused(manager)), /store_unavailable/)
    assert.equal(world.server.calls, 0)
    assert.equal(manager.status().unsaved, false, 'nothing is held that the store does not have')
  })

  it('does without the request when somebody else has refreshed', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    await world.stored(world.tokens({ accessToken: 'access-of-another', refreshToken: 'refresh-of-another' }))
    assert.equal((await manager.token()).accessToken, 'access-of-another')
    assert.equal(world.server.calls, 0)
  })

  it('waits for the one who holds the lease, and takes what that one saved', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    const lease = await world.store.acquire(sky, 0)
    const waiting = Promise.resolve(manager.token())
    await world.clock.advance(1000)
    await world.stored(world.tokens({ accessToken: 'access-of-another', refreshToken: 'refresh-of-another' }))
    await lease.release()
    assert.equal((await waiting).accessToken, 'access-of-another')
    assert.equal(world.server.calls, 0)
  })

  it('reads again when the document changed under its lease, and spends nothing of the old one', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    let interfere = true
    world.store.before = async (operation) => {
      if (operation !== 'save' || !interfere) return
      interfere = false
      await world.stored(world.tokens({ accessToken: 'access-of-another', refreshToken: 'refresh-of-another' }))
    }
    assert.equal((await manager.token()).accessToken, 'access-of-another')
    assert.equal(world.server.calls, 0)
  })

  it('sends nothing once the lease is lost', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    const lost = new AbortController()
    const acquire = world.store.acquire.bind(world.store)
    world.store.acquire = async (id, patience) => {
      const lease = await acquire(id, patience)
      return { lost: lost.signal, release: () => lease.release() }
    }
    world.store.before = (operation) => {
      if (operation === 'save') lost.abort(new StoreError('lease-timeout', 'another process took it over'))
    }
    assert.match(await world.waitFor(refused(manager)), /store_unavailable/)
    assert.equal(world.server.calls, 0)
  })

  it('keeps the refresh token when the answer brings none', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ change: { refresh_token: undefined } })
    world.server.rotates = false
    await manager.refresh()
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-1')
    assert.equal((await manager.refresh()).accessToken, 'access-3')
  })

  it('asks the provider to keep the refresh token, until it is time to rotate', async (t) => {
    const world = await World.create(t)
    world.server.refreshLife = 365 * 86_400
    const manager = await world.ready({ refresh: { preserveRefreshToken: true, renewBefore: '60d' } })
    await manager.refresh()
    assert.equal(world.server.requests.at(-1)?.params['preserve_refresh_token'], 'true')
    assert.equal(manager.grant.tokens?.refreshToken, 'refresh-1')
    // The machine slept for ten months.
    world.clock.jump(306 * 24 * hour)
    await manager.refresh()
    assert.equal(world.server.requests.at(-1)?.params['preserve_refresh_token'] ?? 'not sent', 'not sent')
    assert.notEqual(manager.grant.tokens.refreshToken, 'refresh-1')
  })

  it('saves a refresh token that came without a usable access token', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ change: { access_token: 'two words' } })
    await assert.rejects(manager.refresh())
    const { tokens } = (await world.grantInStore()) ?? {}
    assert.equal(tokens?.refreshToken, 'refresh-2')
    assert.equal(tokens.accessToken, 'access-0', 'the living access token stays')
    assert.equal((await manager.refresh()).accessToken, 'access-5')
    assert.deepEqual(world.server.reused, [])
  })
})

describe('a save that fails after the exchange', () => {
  async function broken(world: World, manager: TokenManager) {
    world.server.onRequest.push(() => world.store.broken.add('save'))
    const served = await manager.refresh()
    world.server.onRequest.length = 0
    return served
  }

  it('serves from memory, says unsaved, and saves as soon as the store is back', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    assert.equal((await broken(world, manager)).accessToken, 'access-3')
    assert.equal(manager.status().unsaved, true)
    assert.equal(manager.status().state, 'degraded')
    assert.match(manager.status().nextStep ?? '', /Do not stop the process/)
    assert.equal((await manager.token()).accessToken, 'access-3')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-1')
    await world.clock.advance(minute)
    assert.equal(manager.status().unsaved, true)
    world.store.broken.clear()
    await world.clock.advance(15_000)
    assert.equal(manager.status().unsaved, false)
    assert.equal(manager.status().state, 'active')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-2')
    assert.deepEqual(world.events.unsaved, [true, false], 'told once each')
  })

  it('rotates no further until it is saved', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await broken(world, manager)
    await world.clock.advance(hour)
    assert.match(await world.waitFor(refused(manager)), /store_unavailable/)
    assert.equal(world.server.calls, 1)
    world.store.broken.clear()
    await world.clock.advance(minute)
    assert.match(await world.waitFor(refused(manager)), /^got access-5$/)
    assert.deepEqual(world.server.reused, [])
  })

  it('keeps the lease until then: nobody else may present the token that was spent', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await broken(world, manager)
    const other = world.manager()
    await other.open()
    world.store.broken.clear()
    assert.equal((await world.waitFor(other.refresh())).accessToken, 'access-3', 'what the first one got')
    assert.deepEqual(world.server.reused, [])
    assert.equal(world.server.calls, 1)
  })

  it('takes a login that somebody stored meanwhile instead of rotating further', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await broken(world, manager)
    await world.clock.advance(10)
    await world.stored(world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' }))
    world.store.broken.clear()
    assert.equal((await manager.refresh()).accessToken, 'access-login')
    assert.equal(world.server.calls, 1)
  })

  it('tries once more when the process ends, and tells when that fails', async (t) => {
    const world = await World.create(t)
    const first = await world.ready()
    await broken(world, first)
    assert.equal(await first.close(), false)
    assert.equal(world.clock.pending, 0, 'no timer keeps the process alive')
    world.store.broken.clear()
    assert.equal(await first.close(), true)
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-2')
  })

  it('leaves a login that somebody stored meanwhile', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const login = world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' })
    world.server.onRequest.push(() => void world.stored(login))
    const release = world.server.hold()
    const refreshing = manager.refresh()
    await world.until(() => world.server.calls === 1)
    release()
    assert.equal((await refreshing).accessToken, 'access-login')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-login')
    assert.equal(manager.status().unsaved, false)
  })

  it('leaves a login that somebody stored while the newer tokens were held', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await broken(world, manager)
    await world.clock.advance(1000)
    await world.stored(world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' }))
    world.store.broken.clear()
    await world.clock.advance(minute)
    assert.equal((await manager.token()).accessToken, 'access-login')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-login')
    assert.equal(manager.status().unsaved, false)
  })

  it("overwrites another process's note of an attempt with the same token", async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const before = await world.grantInStore()
    await broken(world, manager)
    const attempt = { at: world.clock.now(), reason: 'expiry' as const, fingerprint: fingerprint('refresh-1') }
    await world.stored(before?.tokens, { attempt, usedSeeds: ['a seed of theirs'] })
    world.store.broken.clear()
    await world.clock.advance(minute)
    const grant = await world.grantInStore()
    assert.equal(grant?.tokens?.refreshToken, 'refresh-2')
    assert.deepEqual(grant.usedSeeds, ['a seed of theirs'], 'a used seed stays used')
  })
})

describe('invalid_grant', () => {
  it('ends the grant: one call, the reason kept in the store, a person told what to do', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ authorizationUrl: 'https://provider.example/authorize' })
    world.server.revoke('refresh-1')
    await world.clock.advance(hour)
    assert.match(await refused(manager), /reauthorization_required.*bearer-sidecar login sky/)
    assert.match(await refused(manager), /reauthorization_required/)
    await world.clock.advance(24 * hour)
    assert.match(await refused(manager), /reauthorization_required/)
    assert.equal(world.server.calls, 1)
    const grant = await world.grantInStore()
    assert.equal(grant?.death?.fingerprint, fingerprint('refresh-1'))
    assert.equal(grant.tokens?.refreshToken, 'refresh-1', 'nothing is deleted')
    assert.equal(manager.status().state, 'reauthorization_required')
    assert.deepEqual(world.events.states, ['active', 'reauthorization_required'])
  })

  it('is known to the next process without asking', async (t) => {
    const world = await World.create(t)
    await world.ready()
    const tokens = (await world.grantInStore())?.tokens
    const death = { at: 1, error: 'invalid_grant', message: 'It is over.', fingerprint: fingerprint('refresh-1') }
    await world.stored(tokens, { death })
    const manager = world.manager()
    await manager.open()
    await world.clock.advance(hour)
    assert.match(await refused(manager), /reauthorization_required/)
    assert.equal(world.server.calls, 0)
    assert.equal(manager.status().lastError, 'It is over.')
  })

  it('serves the access token of a dead grant until it expires', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.revoke('refresh-1')
    await assert.rejects(manager.refresh())
    assert.equal((await manager.token()).accessToken, 'access-0')
    assert.equal(manager.status().usable, true)
    await world.clock.advance(hour - 1)
    assert.equal((await manager.token()).accessToken, 'access-0')
    await world.clock.advance(1)
    assert.match(await refused(manager), /reauthorization_required/)
    assert.equal(world.server.calls, 1)
  })

  it('is no verdict on a refresh token that was stored meanwhile', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const other = world.server.grant()
    await world.clock.advance(hour)
    const release = world.server.hold()
    world.server.revoke('refresh-1')
    const waiting = Promise.resolve(manager.token())
    await world.until(() => world.server.calls === 1)
    await world.stored(world.tokens({ accessToken: '', refreshToken: other, expiresAt: world.clock.now() }))
    release()
    assert.match((await waiting).accessToken, /^access-/)
    assert.deepEqual(
      world.server.requests.map(({ params }) => params['refresh_token']),
      ['refresh-1', other],
    )
    assert.equal(manager.status().state, 'active')
    assert.ok(world.store.saves.every(({ death }) => death === undefined))
  })

  it('is not believed while the store cannot say whether the token is still the one', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    world.server.revoke('refresh-1')
    world.server.onRequest.push(() => world.store.broken.add('load'))
    assert.match(await world.waitFor(refused(manager)), /store_unavailable/)
    assert.equal(manager.status().state, 'degraded')
    world.server.onRequest.length = 0
    world.store.broken.clear()
    await world.clock.advance(minute)
    assert.match(await world.waitFor(refused(manager)), /reauthorization_required/)
  })

  it('names the time of an answer that was lost', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    const lostAt = new Date(world.clock.now()).toISOString()
    world.server.failNext({ spend: true, reset: true })
    assert.match(await world.waitFor(refused(manager)), /reauthorization_required/)
    assert.deepEqual(world.server.reused, ['refresh-1'], 'the only token there was had to be tried')
    assert.match(manager.status().lastError ?? '', new RegExp(`sent at ${lostAt} ended without an answer`))
  })

  it('names it also after a crash, and not for an attempt that never left', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const tokens = manager.grant.tokens
    const attempt = { at: world.clock.now() - 5000, reason: 'expiry' as const, fingerprint: fingerprint('refresh-1') }
    await world.stored(tokens, { attempt })
    world.server.revoke('refresh-1')
    await assert.rejects(manager.refresh())
    assert.match(manager.status().lastError ?? '', new RegExp(new Date(attempt.at).toISOString()))

    const other = world.server.grant()
    await manager.adopt(world.tokens({ refreshToken: other }))
    const url = world.server.url
    await world.server.close()
    await assert.rejects(manager.refresh())
    assert.equal((await world.grantInStore())?.attempt, undefined, `nothing listens at ${url}: nothing was sent`)
  })

  it('does not blame a lost answer when the client credentials were refused before', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 401, body: '{"error":"invalid_client"}' })
    await assert.rejects(manager.refresh())
    assert.equal((await world.grantInStore())?.attempt, undefined)
    assert.equal((await world.grantInStore())?.death, undefined, 'the grant is not dead')
    world.server.revoke('refresh-1')
    await assert.rejects(manager.refresh())
    assert.doesNotMatch(manager.status().lastError ?? '', /without an answer/)
  })

  it('is over when another process has logged in', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.revoke('refresh-1')
    await assert.rejects(manager.refresh())
    const other = world.server.grant()
    await world.stored(world.tokens({ accessToken: 'access-login', refreshToken: other }))
    await manager.storeChanged()
    assert.equal(manager.status().state, 'active')
    await world.clock.advance(hour)
    assert.match(await refused(manager), /^got access-/)
  })
})

describe('no answer from the token endpoint', () => {
  it('is passing: the same token is tried again, once per back-off', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { timeout: '100ms' } })
    await world.clock.advance(hour)
    world.server.failNext({ hang: true })
    assert.match(await world.waitFor(refused(manager)), /^got access-3$/)
    assert.equal(world.server.calls, 2)
    assert.deepEqual(
      world.events.refreshes.map(({ outcome }) => outcome),
      ['transient', 'success'],
    )
    assert.match(world.events.refreshes[0]?.message ?? '', /did not answer within 0\.1 s/)
  })

  it('leaves the first attempt in the journal until an answer was saved', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 500 }, { status: 500 })
    const at = world.clock.now()
    await assert.rejects(manager.refresh())
    await world.clock.advance(10_000)
    await assert.rejects(manager.refresh())
    assert.equal((await world.grantInStore())?.attempt?.at, at)
    await manager.refresh()
    assert.equal((await world.grantInStore())?.attempt, undefined)
  })
})

describe('the seed of the config', () => {
  it('is used when the store holds nothing, and noted before it is sent', async (t) => {
    const world = await World.create(t)
    const seed = world.server.grant()
    const manager = world.manager({ refreshToken: seed })
    assert.equal((await manager.token()).accessToken, 'access-3')
    assert.deepEqual(world.store.saves[0]?.usedSeeds, [fingerprint(seed)])
    assert.equal(world.server.requests[0]?.params['refresh_token'], seed)
  })

  it('is never used twice, in no process', async (t) => {
    const world = await World.create(t)
    const seed = world.server.grant()
    await world.manager({ refreshToken: seed }).token()
    world.server.revoke(seed)
    await world.clock.advance(hour)
    const next = world.manager({ refreshToken: seed })
    assert.match(await refused(next), /reauthorization_required/)
    assert.deepEqual(
      world.server.requests.map(({ params }) => params['refresh_token']),
      [seed, 'refresh-2'],
    )
  })

  it('is tried again after a passing fault, as the stored token that it is by then', async (t) => {
    const world = await World.create(t)
    const seed = world.server.grant()
    world.server.failNext({ status: 500 })
    const manager = world.manager({ refreshToken: seed })
    assert.equal((await world.waitFor(manager.token())).accessToken, 'access-3')
    assert.deepEqual((await world.grantInStore())?.usedSeeds, [fingerprint(seed)])
  })

  it('takes over from a dead grant in the same breath', async (t) => {
    const world = await World.create(t)
    const dead = world.server.grant()
    const seed = world.server.grant()
    world.server.revoke(dead)
    await world.stored(world.tokens({ refreshToken: dead, expiresAt: world.clock.now() }))
    const manager = world.manager({ refreshToken: seed })
    assert.match((await manager.token()).accessToken, /^access-/)
    assert.equal((await world.grantInStore())?.death, undefined)
  })

  it('does not revive the very token that the provider refused', async (t) => {
    const world = await World.create(t)
    const seed = world.server.grant()
    world.server.revoke(seed)
    await world.stored(world.tokens({ refreshToken: seed, expiresAt: world.clock.now() }))
    const manager = world.manager({ refreshToken: seed })
    assert.match(await refused(manager), /reauthorization_required/)
    assert.match(await refused(manager), /reauthorization_required/)
    assert.equal(world.server.calls, 1)
  })

  it('is left alone while the stored grant lives', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refreshToken: 'a-seed-of-long-ago' })
    await manager.refresh()
    assert.equal(world.server.requests[0]?.params['refresh_token'], 'refresh-1')
    assert.deepEqual((await world.grantInStore())?.usedSeeds, [])
  })

  it('counts as used when the same token was imported', async (t) => {
    const world = await World.create(t)
    const seed = world.server.grant()
    const manager = world.manager({ refreshToken: seed })
    await manager.adopt(world.tokens({ refreshToken: seed }))
    assert.deepEqual((await world.grantInStore())?.usedSeeds, [fingerprint(seed)])
  })

  it('another one is used after a reload', async (t) => {
    const world = await World.create(t)
    const first = world.server.grant()
    const manager = world.manager({ refreshToken: first })
    await manager.token()
    world.server.revoke(first)
    await assert.rejects(manager.refresh())
    assert.equal(manager.status().state, 'reauthorization_required')
    manager.reconfigure(world.config({ refreshToken: world.server.grant() }))
    assert.match((await manager.refresh()).accessToken, /^access-/)
    assert.equal(manager.status().state, 'active')
  })
})
