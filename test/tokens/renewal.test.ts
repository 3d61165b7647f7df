import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RenewalDeclined, type RenewWhen } from '../../src/tokens/token-source.ts'
import type { TokenManager } from '../../src/tokens/token-manager.ts'
import type { TokenSet } from '../../src/tokens/token-set.ts'
import { hour, minute, World } from './fixture.ts'

async function declined(manager: TokenManager, rejected: TokenSet, when: RenewWhen = 'always'): Promise<string> {
  try {
    const { accessToken } = await manager.renew(rejected, when)
    return `got ${accessToken}`
  } catch (error) {
    assert.ok(error instanceof RenewalDeclined)
    return error.why
  }
}

describe('renew() after an upstream rejected a token', () => {
  it('makes one refresh for 60 requests that were rejected together', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const rejected = await manager.token()
    const renewed = await Promise.all(Array.from({ length: 60 }, async () => manager.renew(rejected, 'always')))
    assert.deepEqual([...new Set(renewed.map((set) => set.accessToken))], ['access-3'])
    assert.equal(world.server.calls, 1)
  })

  it('gives the current token at once to a request that comes late with an old one', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const rejected = await manager.token()
    const current = await manager.renew(rejected, 'always')
    assert.equal(manager.renew(rejected, 'always'), current, 'not even a promise')
    assert.equal(world.server.calls, 1)
  })

  it('takes a token that another process has stored meanwhile', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const rejected = await manager.token()
    await world.stored(world.tokens({ accessToken: 'access-of-another', refreshToken: 'refresh-of-another' }))
    assert.equal((await manager.renew(rejected, 'always')).accessToken, 'access-of-another')
    assert.equal(world.server.calls, 0)
  })

  it('never gives back the rejected token, whatever refresh it joined', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const rejected = await manager.token()
    await world.clock.advance(56 * minute)
    // The refresh behind a living token finds nothing to do but to ask.
    void manager.token()
    assert.equal((await manager.renew(rejected, 'always')).accessToken, 'access-3')
    assert.equal(world.server.calls, 1)
  })

  it('K11: makes one refresh when the provider gives the same token again, then cools down', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { cooldown: '60s' } })
    const rejected = await manager.token()
    world.server.failNext(...Array.from({ length: 5 }, () => ({ change: { access_token: rejected.accessToken } })))
    const first = await Promise.all(Array.from({ length: 60 }, () => declined(manager, rejected)))
    assert.deepEqual([[...new Set(first)], world.server.calls], [['refresh-failed'], 1])
    await world.clock.advance(59_999)
    const second = await Promise.all(Array.from({ length: 60 }, () => declined(manager, rejected)))
    assert.deepEqual([[...new Set(second)], world.server.calls], [['cooldown'], 1])
    await world.clock.advance(1)
    assert.equal(await declined(manager, rejected), 'refresh-failed')
    assert.equal(world.server.calls, 2)
    assert.deepEqual(world.server.reused, [])
  })

  it('makes one refresh more when the one it joined began for another reason and gave the same token', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const rejected = await manager.token()
    world.server.failNext({ change: { access_token: rejected.accessToken } })
    const release = world.server.hold()
    const manual = manager.refresh()
    await world.until(() => world.server.calls === 1)
    const joined = Array.from({ length: 60 }, () => declined(manager, rejected))
    await world.clock.advance(1_000)
    release()
    assert.equal((await manual).accessToken, rejected.accessToken)
    assert.deepEqual([...new Set(await Promise.all(joined))], ['got access-5'])
    assert.equal(world.server.calls, 2)
  })

  it('declines while the token endpoint fails, and does not press it', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 503 })
    const rejected = await manager.token()
    assert.equal(await declined(manager, rejected), 'refresh-failed')
    assert.equal(await declined(manager, rejected), 'refresh-failed')
    assert.equal(world.server.calls, 1)
  })

  it('does not keep a caller longer than its deadline', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { timeout: '1s' } })
    const rejected = await manager.token()
    const lease = await world.store.acquire({ credential: 'sky' }, 0)
    const began = world.clock.now()
    const answer = await world.waitFor(declined(manager, rejected))
    assert.equal(answer, 'refresh-failed')
    assert.ok(world.clock.now() - began < 7_000)
    await lease.release()
  })
})

describe('distrust() after a fresh token was rejected too', () => {
  it('cools down: no rejection leads to a refresh until it is over', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { cooldown: '60s' } })
    const renewed = await manager.renew(await manager.token(), 'always')
    manager.distrust(renewed)
    assert.equal(await declined(manager, renewed), 'cooldown')
    await world.clock.advance(59_999)
    assert.equal(await declined(manager, renewed), 'cooldown')
    assert.equal(world.server.calls, 1)
    await world.clock.advance(1)
    assert.match(await declined(manager, renewed), /^got access-/)
    assert.equal(world.server.calls, 2)
  })

  it('does not stop the refresh at expiry', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { cooldown: '2h' } })
    const renewed = await manager.renew(await manager.token(), 'always')
    manager.distrust(renewed)
    await world.clock.advance(hour)
    assert.equal((await manager.token()).accessToken, 'access-5')
  })

  it('says nothing about a token that is not the current one any more', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const old = await manager.token()
    const current = await manager.renew(old, 'always')
    manager.distrust(old)
    assert.match(await declined(manager, current), /^got access-/)
  })

  it('is over when a person brings other tokens', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    manager.distrust(await manager.token())
    await manager.adopt(world.tokens({ accessToken: 'access-adopted', refreshToken: world.server.grant() }))
    assert.match(await declined(manager, await manager.token()), /^got access-/)
  })
})

describe('a rejection that may have other reasons (expired-or-once)', () => {
  it('renews once per token and then lets the answer pass', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const first = await manager.token()
    const second = await manager.renew(first, 'expired-or-once')
    assert.equal(second.accessToken, 'access-3')
    manager.distrust(second)
    assert.equal(await declined(manager, second, 'expired-or-once'), 'not-expired')
    await world.clock.advance(10 * minute)
    assert.equal(await declined(manager, second, 'expired-or-once'), 'not-expired', 'also after the cool-down')
    assert.equal(world.server.calls, 1)
  })

  it('serves all requests that were rejected together by the one renewal', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const rejected = await manager.token()
    const renewed = await Promise.all(
      Array.from({ length: 60 }, async () => manager.renew(rejected, 'expired-or-once')),
    )
    assert.deepEqual([...new Set(renewed.map((set) => set.accessToken))], ['access-3'])
    assert.equal(world.server.calls, 1)
  })

  it('always renews a token that is past its recorded expiry', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const first = await manager.token()
    world.server.failNext({ status: 500 })
    assert.equal(await declined(manager, first, 'expired-or-once'), 'refresh-failed')
    assert.equal(await declined(manager, first, 'expired-or-once'), 'not-expired')
    await world.clock.advance(hour)
    assert.match(await declined(manager, first, 'expired-or-once'), /^got access-/)
  })
})
