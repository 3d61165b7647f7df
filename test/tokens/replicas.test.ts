import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { TokenManager } from '../../src/tokens/token-manager.ts'
import type { RenewalDeclined } from '../../src/tokens/token-source.ts'
import { settle } from '../helpers/clock.ts'
import { hour, sky, World } from './fixture.ts'

/** Several processes on one store and one provider that revokes a grant whose refresh token comes twice. */
async function start(t: TestContext, count: number): Promise<{ world: World; replicas: TokenManager[] }> {
  const world = await World.create(t)
  const refreshToken = world.server.grant()
  await world.stored(world.tokens({ accessToken: '', refreshToken, expiresAt: world.clock.now() }))
  const replicas = Array.from({ length: count }, () => world.manager())
  await Promise.all(replicas.map((replica) => replica.open()))
  return { world, replicas }
}

/** The look that TokenSources takes every two seconds. */
async function poll(world: World, replicas: readonly TokenManager[]): Promise<void> {
  const [version] = await world.store.inner.versions([sky])
  await Promise.all(replicas.filter((replica) => replica.version !== version).map((replica) => replica.storeChanged()))
}

describe('replicas that share a store and a grant', () => {
  it('live through ninety seconds of one-second tokens: no token comes twice, no request fails', async (t) => {
    const { world, replicas } = await start(t, 2)
    world.server.accessLife = 1
    const served = new Set<string>()
    const asked: Promise<void>[] = []
    let requests = 0
    for (let step = 0; step < 600; step++) {
      for (const replica of replicas) {
        for (let request = 0; request < 3; request++) {
          requests++
          asked.push(Promise.resolve(replica.token()).then(({ accessToken }) => void served.add(accessToken)))
        }
      }
      await world.clock.advance(150)
      if (step % 13 === 0) await poll(world, replicas)
      if (step % 20 === 0) await world.quiet()
    }
    for (const request of asked) await world.waitFor(request)
    assert.equal(asked.length, requests)
    assert.deepEqual(world.server.reused, [])
    assert.ok(served.size >= 30, `${served.size} tokens were served`)
    assert.ok(world.server.calls <= 200, `${world.server.calls} refreshes`)
    assert.deepEqual([...new Set(world.events.refreshes.map(({ outcome }) => outcome))], ['success'])
  })

  it('K11: make one refresh between them when the provider gives the rejected token again', async (t) => {
    const { world, replicas } = await start(t, 2)
    const rejected = await Promise.all(replicas.map(async (replica) => replica.token()))
    const [same] = rejected
    const calls = world.server.calls
    world.server.failNext(...Array.from({ length: 5 }, () => ({ change: { access_token: same?.accessToken } })))
    await world.clock.advance(1000)
    const renew = () =>
      Promise.allSettled(
        replicas.flatMap((replica, index) =>
          Array.from({ length: 15 }, async () => replica.renew(rejected[index]!, 'always')),
        ),
      )
    const why = (results: PromiseSettledResult<unknown>[]) => [
      ...new Set(
        results.map((result) => (result.status === 'rejected' ? (result.reason as RenewalDeclined).why : 'renewed')),
      ),
    ]
    assert.deepEqual(why(await world.waitFor(renew())), ['refresh-failed'])
    assert.equal(world.server.calls, calls + 1)
    assert.deepEqual(why(await renew()), ['cooldown'])
    assert.equal(world.server.calls, calls + 1)
  })

  it('make one refresh between them when a token is rejected everywhere at once', async (t) => {
    const { world, replicas } = await start(t, 4)
    const rejected = await Promise.all(replicas.map(async (replica) => replica.token()))
    const calls = world.server.calls
    assert.equal(calls, 1, 'the cold start too')
    const renewed = await Promise.all(
      replicas.flatMap((replica, index) =>
        Array.from({ length: 15 }, async () => {
          const mine = rejected[index]
          assert.ok(mine)
          return replica.renew(mine, 'always')
        }),
      ),
    )
    assert.equal(new Set(renewed.map(({ accessToken }) => accessToken)).size, 1)
    assert.equal(world.server.calls, calls + 1)
  })

  it('survive faults of every kind without presenting a token that is known to be spent', async (t) => {
    const { world, replicas } = await start(t, 3)
    world.server.accessLife = 1
    const faults = [
      { status: 500 },
      { status: 429, headers: { 'retry-after': '2' } },
      { body: '<html>' },
      { status: 502 },
    ]
    let failed = 0
    for (let step = 0; step < 150; step++) {
      if (step % 7 === 0) world.server.failNext(faults[step % faults.length] ?? {})
      // A store that is away for a moment, also between an exchange and its save.
      if (step % 31 === 0) world.store.broken.add(step % 2 === 0 ? 'save' : 'load')
      if (step % 31 === 3) world.store.broken.clear()
      await Promise.all(
        replicas.map(async (replica) => {
          try {
            await world.waitFor(replica.token(), 50)
          } catch {
            failed++
          }
        }),
      )
      await world.clock.advance(400)
      if (step % 5 === 0) await poll(world, replicas).catch(() => undefined)
    }
    world.store.broken.clear()
    world.server.forgetFaults()
    await world.clock.advance(hour)
    await world.quiet()
    assert.deepEqual(world.server.reused, [])
    for (const replica of replicas) {
      await world.waitFor(replica.token())
      assert.equal(replica.status().unsaved, false)
    }
    assert.ok(failed < 225, `${failed} of 450 requests failed`)
  })

  it('take over from one that died while it held the lease, once that has run out', async (t) => {
    const { world, replicas } = await start(t, 1)
    const dead = await world.store.acquire(sky, 0)
    const waiting = Promise.resolve(replicas[0]?.token()).catch((error: unknown) => error)
    await settle()
    // The store breaks the lease of a dead holder; the refresh is still waiting for it, although its first caller is not.
    await world.clock.advance(50_000)
    assert.match(String(await waiting), /token_endpoint_unavailable/)
    await dead.release()
    await world.quiet()
    const [replica] = replicas
    assert.ok(replica)
    assert.match((await world.waitFor(replica.token())).accessToken, /^access-/)
    assert.equal(world.server.calls, 1)
  })
})
