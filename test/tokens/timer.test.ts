import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { maxTimerDelay } from '../../src/clock.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'
import { settle } from '../helpers/clock.ts'
import { day, hour, minute, World } from './fixture.ts'

/** Lets days go by in steps that leave the network time to answer. */
async function pass(world: World, time: number, step = hour): Promise<void> {
  for (let gone = 0; gone < time; gone += step) {
    await world.clock.advance(Math.min(step, time - gone))
    await world.quiet()
  }
}

describe('the timer of a grant', () => {
  it('lets an access token that nobody used die in peace', async (t) => {
    const world = await World.create(t)
    await world.ready()
    await pass(world, 10 * day)
    assert.equal(world.server.calls, 0)
  })

  it('refreshes a used token before its end, once, and not the next one unless that is used too', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    void manager.token()
    await pass(world, 55 * minute, minute)
    assert.equal(world.server.calls, 1)
    assert.ok(manager.token() instanceof TokenSet, 'the caller never waits')
    await pass(world, 55 * minute, minute)
    assert.equal(world.server.calls, 2)
    await pass(world, day)
    assert.equal(world.server.calls, 2)
  })

  it('counts the request that fetched a token as a use of it', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({}, { accessToken: '' })
    await manager.token()
    await pass(world, 56 * minute, minute)
    assert.equal(world.server.calls, 2)
  })

  it('keeps a grant alive without traffic, also after a downtime', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { keepAlive: '24h' } })
    await pass(world, 3 * day)
    assert.equal(world.server.calls, 3)
    assert.deepEqual([...new Set(world.events.refreshes.map(({ reason }) => reason))], ['keep_alive'])
    await manager.close()
    await world.clock.advance(10 * day)
    assert.equal(world.server.calls, 3)
    const next = world.manager({ refresh: { keepAlive: '24h' } })
    await next.open()
    await pass(world, 1, 1)
    assert.equal(world.server.calls, 4)
  })

  it('keeps a seed alive that no request has used yet', async (t) => {
    const world = await World.create(t)
    const manager = world.manager({ refresh: { keepAlive: '24h' }, refreshToken: world.server.grant() })
    await manager.open()
    await pass(world, day)
    assert.equal(world.server.calls, 1)
    assert.equal(world.events.refreshes[0]?.reason, 'keep_alive')
  })

  it('tries a keep-alive again after a failure, with back-off and with Retry-After', async (t) => {
    const world = await World.create(t)
    await world.ready({ refresh: { keepAlive: '24h' } })
    world.server.failNext({ status: 500 }, { status: 429, headers: { 'retry-after': '300' } })
    // A twentieth early: the keep-alives of many are spread.
    await pass(world, 0.95 * day, minute)
    await pass(world, 5 * minute, minute)
    assert.equal(world.server.calls, 2)
    await pass(world, 2 * minute, minute)
    assert.equal(world.server.calls, 3)
    assert.equal(world.events.refreshes.at(-1)?.outcome, 'success')
  })

  it('renews a refresh token on time, asking the provider to rotate', async (t) => {
    const world = await World.create(t)
    world.server.refreshLife = (365 * day) / 1000
    const manager = await world.ready(
      { refresh: { preserveRefreshToken: true, renewBefore: '60d' } },
      { refreshExpiresAt: Date.parse('2026-01-01T00:00:00Z') + 365 * day },
    )
    await pass(world, 305 * day - hour, 10 * day)
    assert.equal(world.server.calls, 0)
    await pass(world, hour, hour)
    assert.equal(world.server.calls, 1)
    assert.equal(world.server.requests[0]?.params['preserve_refresh_token'], undefined)
    assert.equal(world.events.refreshes[0]?.reason, 'renewal')
    assert.equal(manager.status().refreshTokenExpiresAt, new Date(world.clock.now() + 365 * day).toISOString())
  })

  it('does not spin on a refresh token whose recorded end is long past', async (t) => {
    const world = await World.create(t)
    await world.ready({}, { refreshExpiresAt: Date.parse('2025-01-01T00:00:00Z') })
    await pass(world, 3 * day)
    assert.ok(world.server.calls <= 4, `${world.server.calls} calls in three days`)
  })

  it('does not spin when there is nothing to refresh with', async (t) => {
    const world = await World.create(t)
    await world.stored(world.tokens({ refreshExpiresAt: world.clock.now() + day }))
    const manager = world.manager({ refresh: { keepAlive: '10m' } })
    await manager.open()
    void manager.token()
    let asked = 0
    world.store.before = () => {
      asked++
    }
    await world.clock.advance(2 * hour)
    assert.equal(asked, 0)
    assert.equal(world.clock.pending, 0)
  })

  it('stops when the grant is dead', async (t) => {
    const world = await World.create(t)
    await world.ready({ refresh: { keepAlive: '1h' } })
    world.server.revoke('refresh-1')
    await pass(world, 5 * day)
    assert.equal(world.server.calls, 1)
  })

  it('sets no timer longer than Node can count', async (t) => {
    const world = await World.create(t)
    const delays: number[] = []
    const schedule = world.clock.schedule.bind(world.clock)
    world.clock.schedule = (delay, callback) => {
      delays.push(Math.min(delay, maxTimerDelay))
      return schedule(delay, callback)
    }
    const manager = await world.ready({}, { expiresAt: world.clock.now() + 365 * day })
    void manager.token()
    await pass(world, 364 * day, 30 * day)
    assert.equal(world.server.calls, 0, 'woken early by the cut timer, it only looks')
    assert.ok(delays.length < 40, 'and not in a loop')
    await pass(world, day, hour)
    assert.equal(world.server.calls, 1)
  })

  it('sets itself again when it fires a moment before the back-off ends', async (t) => {
    const world = await World.create(t)
    await world.ready({ refresh: { keepAlive: '1h' } })
    world.server.failNext({ status: 500 })
    // As a Node timer may: it counts whole milliseconds of the event loop's own time.
    const schedule = world.clock.schedule.bind(world.clock)
    world.clock.schedule = (delay, callback) => schedule(delay > 10 ? delay - 0.9 : delay, callback)
    await pass(world, 57 * minute, minute)
    assert.equal(world.server.calls, 1)
    // So that only the monotonic clock says that it is too early.
    world.clock.jump(minute)
    await pass(world, 2 * minute, minute)
    assert.equal(world.server.calls, 2)
    assert.equal(world.events.refreshes.at(-1)?.outcome, 'success')
  })

  it('leaves nothing running after close()', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({ refresh: { keepAlive: '1h' } })
    void manager.token()
    assert.notEqual(world.clock.pending, 0)
    assert.equal(await manager.close(), true)
    assert.equal(world.clock.pending, 0)
    manager.reconfigure(world.config({ refresh: { keepAlive: '1h' } }))
    assert.notEqual(world.clock.pending, 0, 'a credential that a reload brings back lives again')
    assert.equal(await manager.close(), true)
    assert.equal(world.clock.pending, 0)
  })

  it('lets a refresh that runs end before close() resolves', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const release = world.server.hold()
    const refreshing = manager.refresh()
    await world.until(() => world.server.calls === 1)
    const order: string[] = []
    const closing = manager.close().finally(() => order.push('closed'))
    await settle()
    order.push('answered')
    release()
    assert.equal(await closing, true)
    assert.deepEqual(order, ['answered', 'closed'])
    assert.equal((await refreshing).accessToken, 'access-3')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-2')
  })
})

describe('warnings before a refresh token ends', () => {
  it('come once per threshold', async (t) => {
    const world = await World.create(t)
    const end = world.clock.now() + 100 * day
    // The provider refuses to rotate: nothing but a person can help.
    world.server.revoke(world.server.grant())
    await world.stored(world.tokens({ refreshToken: 'refresh-of-nobody', refreshExpiresAt: end }))
    const manager = world.manager({ refresh: { renewBefore: '0s' } })
    await manager.open()
    const warned: number[] = []
    for (let gone = 0; gone < 100; gone++) {
      await world.clock.advance(day)
      if (world.events.warnings.length > warned.length) warned.push(gone + 1)
    }
    assert.deepEqual(warned, [70, 86, 93, 99])
    assert.deepEqual(world.events.warnings, [end, end, end, end])
  })

  it('do not come again because the provider counts the same end in whole seconds', async (t) => {
    const world = await World.create(t)
    const end = world.clock.now() + 20 * day
    world.server.accessLife = undefined
    const issued = { expiresAt: undefined, refreshIssuedAt: world.clock.now() - 345 * day, refreshExpiresAt: end }
    const manager = await world.ready({ refresh: { preserveRefreshToken: true, renewBefore: '0s' } }, issued)
    assert.equal(world.events.warnings.length, 1)
    for (let refresh = 1; refresh <= 5; refresh++) {
      await world.clock.advance(hour + 437)
      world.server.refreshLife = Math.ceil((end - world.clock.now()) / 1000)
      await manager.refresh()
    }
    assert.deepEqual(world.events.warnings, [end])
  })

  it('come again for a new refresh token when its time has come', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready({}, { refreshIssuedAt: 0, refreshExpiresAt: Date.parse('2026-01-10T00:00:00Z') })
    assert.equal(world.events.warnings.length, 1)
    const next = { refreshExpiresAt: world.clock.now() + 40 * day, refreshToken: 'refresh-of-nobody' }
    await manager.adopt(world.tokens(next))
    assert.equal(world.events.warnings.length, 1)
    await world.clock.advance(11 * day)
    assert.equal(world.events.warnings.length, 2)
  })

  it('do not come from the first second of a token that never lives longer than the threshold', async (t) => {
    const world = await World.create(t)
    await world.ready({}, { refreshExpiresAt: Date.parse('2026-01-01T12:00:00Z') })
    assert.deepEqual(world.events.warnings, [])
  })
})

describe('a clock that jumps', () => {
  it('forward (a suspend): the token is seen to be expired at the next request', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    void manager.token()
    world.clock.jump(2 * hour)
    assert.equal((await manager.token()).accessToken, 'access-3')
  })

  it('backward: the token dies when its life is over all the same', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    void manager.token()
    world.clock.jump(-day)
    assert.equal((await manager.token()).accessToken, 'access-0')
    await world.clock.advance(56 * minute)
    assert.equal((await manager.token()).accessToken, 'access-0', 'still alive')
    await world.quiet()
    assert.equal(world.server.calls, 1, 'and refreshed behind, because its early window has come')
    world.server.failNext(...Array.from({ length: 5 }, () => ({ status: 500 })))
    await world.clock.advance(4 * minute)
    assert.equal((await manager.token()).accessToken, 'access-3')
  })

  it('backward: a failed refresh or a look at the store gives the old token no second life', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.clock.jump(-day)
    world.server.failNext({ status: 500 })
    await assert.rejects(manager.refresh())
    const grant = await world.grantInStore()
    await world.clock.advance(hour / 2)
    const { accessToken, expiresAt, refreshToken } = grant?.tokens ?? {}
    const copy = world.tokens({
      accessToken: accessToken ?? '',
      issuedAt: grant?.tokens?.issuedAt ?? 0,
      expiresAt,
      refreshToken,
    })
    await world.stored(copy, { usedSeeds: ['somebody was here'] })
    await manager.storeChanged()
    await world.clock.advance(hour / 2)
    assert.equal((await manager.token()).accessToken, 'access-3')
  })

  it('backward across a restart: no token lives longer than it was given', async (t) => {
    const world = await World.create(t)
    const first = await world.ready()
    await first.close()
    world.clock.jump(-30 * day)
    const manager = world.manager()
    await manager.open()
    await world.clock.advance(hour + 1)
    assert.equal((await manager.token()).accessToken, 'access-3')
  })

  it('forward and back: the token that came in between is used no longer than its life', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.clock.jump(10 * day)
    await manager.token()
    world.clock.jump(-10 * day)
    assert.equal((await manager.token()).accessToken, 'access-3')
    await world.clock.advance(hour)
    assert.equal((await manager.token()).accessToken, 'access-5')
    assert.deepEqual(world.server.reused, [])
  })

  it('does not touch back-off or cool-down', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 429, headers: { 'retry-after': '100' } })
    await assert.rejects(manager.refresh())
    world.clock.jump(day)
    await assert.rejects(async () => manager.token(), /token_endpoint_unavailable/)
    assert.equal(world.server.calls, 1)
    world.clock.jump(-2 * day)
    await world.clock.advance(100_000)
    assert.equal((await manager.token(day)).accessToken, 'access-0')
    await world.quiet()
  })
})
