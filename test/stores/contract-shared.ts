import assert from 'node:assert/strict'
import { once } from 'node:events'
import { it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import type { GrantId, TokenStore } from '../../src/stores/token-store.ts'
import { fullGrant, markedGrant } from './grants.ts'
import { StallingClock } from './stalling-clock.ts'
import { openFor, rejectsWith, type Backend } from './store-assertions.ts'

const sky: GrantId = { credential: 'sky' }
const other: GrantId = { credential: 'other-1' }

type Documents = NonNullable<Backend['documents']>

/** The part of the contract for stores that several processes share. */
export function testSharing(prepare: (t: TestContext) => Promise<Backend>): void {
  const startShared = async (
    t: TestContext,
  ): Promise<{ backend: Backend; store: TokenStore; documents: Documents }> => {
    const backend = await prepare(t)
    const { documents } = backend
    if (documents === undefined) throw new Error('a shared store shows its documents')
    return { backend, documents, store: await openFor(t, backend, systemClock) }
  }

  it('shows a save to a store opened elsewhere and to one opened later', async (t) => {
    const shared = await startShared(t)
    const { store, backend } = shared
    const second = await openFor(t, backend)
    const version = await store.save(sky, fullGrant(), undefined)
    assert.deepEqual(await second.load(sky), { grant: fullGrant(), version })
    assert.deepEqual(await second.versions([sky]), [version])
    const next = await second.save(sky, markedGrant('theirs'), version)
    assert.deepEqual(await store.versions([sky]), [next])
    await rejectsWith('conflict', store.save(sky, markedGrant('mine'), version))
    await store.close()
    const third = await openFor(t, backend)
    assert.deepEqual(await third.load(sky), { grant: markedGrant('theirs'), version: next })
  })

  it('excludes the leases of another process', async (t) => {
    const shared = await startShared(t)
    const second = await openFor(t, shared.backend)
    const lease = await shared.store.acquire(sky, 1_000)
    const waiting = second.acquire(sky, 20_000)
    await rejectsWith('lease-timeout', second.acquire(sky, 30))
    await lease.release()
    await (await waiting).release()
  })

  it('takes over the lease of a holder that went silent, and tells that holder', async (t) => {
    const shared = await startShared(t)
    const { backend, store } = shared
    const clock = new StallingClock()
    t.after(() => clock.stop())
    const holder = await openFor(t, backend, clock)
    const version = await holder.save(sky, markedGrant('before'), undefined)
    const lease = await holder.acquire(sky, 1_000)
    clock.stall()
    const began = performance.now()
    const taken = await store.acquire(sky, backend.lease * 20)
    assert.ok(performance.now() - began >= backend.lease * 0.6, 'not before the lease ran out')
    const next = await store.save(sky, markedGrant('after'), version)
    const lost = once(lease.lost, 'abort')
    clock.resume()
    await lost
    await rejectsWith('conflict', holder.save(sky, markedGrant('late'), version))
    await lease.release()
    assert.equal(taken.lost.aborted, false)
    await rejectsWith('lease-timeout', holder.acquire(sky, 50))
    await taken.release()
    assert.deepEqual(await store.load(sky), { grant: markedGrant('after'), version: next })
  })

  it('refuses a newer document and leaves it as it is', async (t) => {
    const shared = await startShared(t)
    const { store, documents } = shared
    await store.save(sky, fullGrant(), undefined)
    const text = JSON.stringify({ ...(JSON.parse(await documents.read(sky)) as object), version: 2 })
    await documents.write(sky, text)
    const error = await rejectsWith('newer', store.load(sky))
    assert.match(error.message, /version 2/)
    await rejectsWith('conflict', store.save(sky, fullGrant(), undefined))
    assert.equal(await documents.read(sky), text)
  })

  it('refuses a damaged document, quotes nothing of it and leaves it as it is', async (t) => {
    const shared = await startShared(t)
    const { store, documents } = shared
    await store.save(sky, fullGrant(), undefined)
    for (const text of [
      '',
      '{"secret-token',
      '[]',
      '"secret-token"',
      '{"version":1}',
      '{"version":"secret-token"}',
      'secret-token',
    ]) {
      await documents.write(sky, text)
      const error = await rejectsWith('damaged', store.load(sky))
      assert.doesNotMatch(error.message, /secret-token/)
      assert.equal(await documents.read(sky), text)
      await store.versions([sky])
    }
  })

  it('refuses a document that belongs to another grant', async (t) => {
    const shared = await startShared(t)
    const { store, documents } = shared
    await store.save(sky, fullGrant(), undefined)
    await store.save(other, fullGrant(), undefined)
    await documents.write(other, await documents.read(sky))
    await rejectsWith('damaged', store.load(other))
  })
}
