import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreError } from '../../src/stores/token-store.ts'
import { settle } from '../helpers/clock.ts'
import { hour, minute, sky, World } from './fixture.ts'

const stepOf = async (attempt: Promise<unknown>) =>
  attempt.then(
    () => 'no error',
    (error: unknown) => (error instanceof Error ? error.message : 'no error'),
  )

describe('adopt()', () => {
  it('is in effect at once, and saved when it resolves', async (t) => {
    const world = await World.create(t)
    const manager = world.manager()
    await manager.open()
    assert.equal(manager.status().state, 'login_required')
    await manager.adopt(world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' }))
    assert.equal((await manager.token()).accessToken, 'access-login')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-login')
    assert.deepEqual(world.events.states, ['login_required', 'active'])
  })

  it('ends a back-off and a death', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.revoke('refresh-1')
    await assert.rejects(manager.refresh())
    await manager.adopt(world.tokens({ refreshToken: world.server.grant(), expiresAt: world.clock.now() }))
    assert.match((await manager.token()).accessToken, /^access-/)
    assert.equal((await world.grantInStore())?.death, undefined)
  })

  it('is served from memory and saved later when the store does not take it', async (t) => {
    const world = await World.create(t)
    const manager = world.manager()
    await manager.open()
    world.store.broken.add('save').add('load').add('acquire')
    await manager.adopt(world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' }))
    assert.equal(manager.status().unsaved, true)
    const unsaved = 'The newest token set is held in memory only: the test broke'
    assert.equal(manager.status().lastError, `${unsaved} load`)
    assert.equal((await manager.token()).accessToken, 'access-login')
    // What stands in the way now, whatever else is wrong.
    world.store.broken.delete('load')
    world.store.broken.delete('acquire')
    await assert.rejects(manager.refresh())
    assert.match(manager.status().lastError ?? '', new RegExp(`^The last token set .* ${unsaved} save$`))
    world.store.broken.clear()
    await world.clock.advance(minute)
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-login')
  })

  it('is not overwritten by the refresh that was under way', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    const release = world.server.hold()
    const refreshing = manager.refresh()
    await world.until(() => world.server.calls === 1)
    const adopting = manager.adopt(world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' }))
    await settle()
    release()
    await Promise.all([refreshing, adopting])
    assert.equal((await manager.token()).accessToken, 'access-login')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-login')
    assert.equal(world.server.calls, 1)
  })

  it('comes before a refresh that was asked for later', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    const adopting = manager.adopt(world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login' }))
    assert.equal((await manager.token()).accessToken, 'access-login')
    await adopting
    assert.equal(world.server.calls, 0)
  })

  it('replaces tokens that are held unsaved, and the flush of those does not bring them back', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.onRequest.push(() => world.store.broken.add('save'))
    await manager.refresh()
    world.server.onRequest.length = 0
    // The flush has begun when the person comes, and the person's tokens were issued long before.
    let letSave: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (letSave = resolve))
    world.store.broken.clear()
    world.store.before = (operation) => (operation === 'save' ? gate : undefined)
    await world.clock.advance(500)
    const old = { issuedAt: world.clock.now() - hour, refreshIssuedAt: world.clock.now() - hour }
    const login = world.tokens({ accessToken: 'access-login', refreshToken: 'refresh-login', ...old })
    const adopting = manager.adopt(login)
    await settle()
    letSave()
    await adopting
    await world.clock.advance(minute)
    assert.equal((await manager.token()).accessToken, 'access-login')
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-login')
    assert.equal(manager.status().unsaved, false)
  })

  it('does not wait without end for a lease that a dead process holds', async (t) => {
    const world = await World.create(t)
    const manager = world.manager({ refresh: { timeout: '10s' } })
    await world.store.acquire(sky, 0)
    const began = world.clock.now()
    await world.waitFor(manager.adopt(world.tokens({ accessToken: 'access-login' })))
    assert.ok(world.clock.now() - began <= 16_000)
    assert.equal((await world.grantInStore())?.tokens?.accessToken, 'access-login')
  })
})

describe('forget()', () => {
  it('removes the tokens everywhere, and the seed does not come back', async (t) => {
    const world = await World.create(t)
    const seed = world.server.grant()
    const manager = world.manager({ refreshToken: seed })
    const other = world.manager({ refreshToken: seed })
    await manager.token()
    await other.token()
    await manager.forget()
    await other.storeChanged()
    for (const process of [manager, other]) {
      assert.match(await stepOf(Promise.resolve(process.token())), /login_required/)
      assert.equal(process.status().state, 'login_required')
    }
    assert.equal(world.server.calls, 1)
    assert.equal((await world.grantInStore())?.tokens, undefined)
  })

  it('marks a seed that was never used', async (t) => {
    const world = await World.create(t)
    const manager = world.manager({ refreshToken: world.server.grant() })
    await manager.forget()
    assert.match(await stepOf(Promise.resolve(manager.token())), /login_required/)
    assert.equal(world.server.calls, 0)
  })

  it('is not undone by a refresh of another process that was under way', async (t) => {
    const world = await World.create(t)
    const refreshing = await world.ready({ refresh: { timeout: '60s' } })
    const forgetting = world.manager()
    await forgetting.open()
    const release = world.server.hold()
    const answer = stepOf(refreshing.refresh())
    await world.until(() => world.server.calls === 1)
    // The refresh has the lease for longer than the person is kept waiting.
    await world.waitPast(forgetting.forget())
    release()
    assert.match(await answer, /login_required/)
    assert.equal((await world.grantInStore())?.tokens, undefined)
    await world.clock.advance(minute)
    assert.equal((await world.grantInStore())?.tokens, undefined)
  })

  it('is not undone by tokens that another process holds unsaved', async (t) => {
    const world = await World.create(t)
    const holding = await world.ready()
    world.server.onRequest.push(() => world.store.broken.add('save'))
    await holding.refresh()
    const forgetting = world.manager()
    await forgetting.open()
    // The holder keeps the lease until all is saved; the person does not wait for it.
    world.server.onRequest.length = 0
    const acquired = world.store.acquire.bind(world.store)
    world.store.acquire = (id, patience) => acquired(id, Math.min(patience, 1))
    const forgotten = forgetting.forget()
    world.store.broken.clear()
    await world.clock.advance(1)
    await forgotten
    assert.equal(holding.status().unsaved, true)
    await world.clock.advance(minute)
    assert.equal((await world.grantInStore())?.tokens, undefined)
    assert.equal(holding.status().unsaved, false)
    assert.match(await stepOf(Promise.resolve(holding.token())), /login_required/)
  })

  it('also drops tokens that this process holds unsaved', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.onRequest.push(() => world.store.broken.add('save'))
    await manager.refresh()
    world.store.broken.clear()
    await manager.forget()
    assert.equal(manager.status().unsaved, false)
    await world.clock.advance(minute)
    assert.equal((await world.grantInStore())?.tokens, undefined)
  })

  it('rejects, and forgets nothing, when the store cannot be written', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.store.broken.add('save')
    await assert.rejects(manager.forget(), StoreError)
    assert.equal((await manager.token()).accessToken, 'access-0')
    assert.equal(manager.status().state, 'active')
  })

  it('is over when a person logs in again', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await manager.forget()
    await manager.adopt(world.tokens({ accessToken: 'access-login' }))
    assert.equal((await manager.token()).accessToken, 'access-login')
  })
})

describe('storeChanged()', () => {
  it("takes over another process's rotation", async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.stored(world.tokens({ accessToken: 'access-of-another', refreshToken: 'refresh-of-another' }))
    await manager.storeChanged()
    assert.equal((await manager.token()).accessToken, 'access-of-another')
  })

  it("is no reason to press a failing token endpoint: another process's note of its try ends no back-off", async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 429, headers: { 'retry-after': '300' } })
    await assert.rejects(manager.refresh())
    const { retryAt } = manager.status()
    const grant = await world.grantInStore()
    await world.stored(grant?.tokens, { attempt: { at: 1, reason: 'expiry', fingerprint: 'x' } })
    await manager.storeChanged()
    assert.equal(manager.status().retryAt, retryAt)
    assert.equal(manager.status().state, 'degraded')
  })

  it('never takes an older document for a newer one, however slow the read was', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.clock.advance(hour)
    let letRead: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (letRead = resolve))
    const load = world.store.inner.load.bind(world.store.inner)
    let slow = true
    world.store.inner.load = async (id) => {
      const stored = await load(id)
      if (slow) {
        slow = false
        await gate
      }
      return stored
    }
    const looking = manager.storeChanged()
    const token = Promise.resolve(manager.token())
    await settle()
    letRead()
    await looking
    assert.equal((await token).accessToken, 'access-3')
    assert.equal(manager.grant.tokens?.refreshToken, 'refresh-2')
  })

  it('writes a document again that vanished: that is no logout', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    await world.store.delete(sky)
    await manager.storeChanged()
    assert.equal((await manager.token()).accessToken, 'access-0')
    await world.clock.advance(minute)
    assert.equal((await world.grantInStore())?.tokens?.refreshToken, 'refresh-1')
    assert.equal(manager.status().unsaved, false)
  })
})

describe('reconfigure()', () => {
  it('tries again at once with another client secret, and keeps the tokens', async (t) => {
    const world = await World.create(t)
    const manager = await world.ready()
    world.server.failNext({ status: 401, body: '{"error":"invalid_client"}' })
    await assert.rejects(manager.refresh())
    assert.equal((await manager.token()).accessToken, 'access-0', 'what lives is served')
    await world.clock.advance(hour)
    assert.match(await stepOf(Promise.resolve(manager.token())), /reauthorization_required/)
    manager.reconfigure(world.config({ clientSecret: 'another-secret' }))
    assert.equal((await manager.token()).accessToken, 'access-3')
    assert.equal(world.server.calls, 2)
  })

  it('says nothing of a grant that was not read yet', async (t) => {
    const world = await World.create(t)
    const manager = world.manager()
    manager.reconfigure(world.config())
    assert.deepEqual(world.events.states, [])
    assert.equal(manager.status().state, 'degraded')
    await manager.open()
    assert.deepEqual(world.events.states, ['login_required'])
  })
})
