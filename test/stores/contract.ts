import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/clock.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { emptyGrant } from '../../src/tokens/grant.ts'
import { fullGrant, markedGrant } from './grants.ts'
import { testSharing } from './contract-shared.ts'
import { assertFault, openFor, rejectsWith, type Backend } from './store-assertions.ts'

export interface SuiteOptions {
  /** Says why the suite is left out, and how to get it. */
  readonly skip?: string | false
  /** False for a store that one process keeps to itself. */
  readonly shared?: boolean
}

const sky: GrantId = { credential: 'sky' }
const other: GrantId = { credential: 'other-1' }

/** What every token store promises. */
export function testStore(
  name: string,
  prepare: (t: TestContext) => Promise<Backend>,
  options: SuiteOptions = {},
): void {
  const start = async (t: TestContext, clock: Clock = systemClock) => {
    const backend = await prepare(t)
    return { backend, store: await openFor(t, backend, clock) }
  }
  describe(`${name} store`, { skip: options.skip ?? false }, () => {
    it('gives back every field of a grant as it was saved', async (t) => {
      const { store } = await start(t)
      const version = await store.save(sky, fullGrant(), undefined)
      assert.deepEqual(await store.load(sky), { grant: fullGrant(), version })
      const next = await store.save(sky, emptyGrant, version)
      assert.deepEqual(await store.load(sky), { grant: emptyGrant, version: next })
      assert.notEqual(next, version)
    })

    it('knows nothing of a grant that was never saved', async (t) => {
      const { store } = await start(t)
      assert.equal(await store.load(sky), undefined)
      assert.deepEqual(await store.versions([sky]), [undefined])
      assert.deepEqual(await store.list(), [])
    })

    it('refuses a save from an older version and keeps what is stored', async (t) => {
      const { store } = await start(t)
      const first = await store.save(sky, markedGrant('one'), undefined)
      const second = await store.save(sky, markedGrant('two'), first)
      await rejectsWith('conflict', store.save(sky, markedGrant('three'), first))
      await rejectsWith('conflict', store.save(sky, markedGrant('three'), undefined))
      assert.deepEqual(await store.load(sky), { grant: markedGrant('two'), version: second })
    })

    it('lets exactly one of many saves from the same version win', async (t) => {
      const { store, backend } = await start(t)
      const second = backend.documents === undefined ? store : await openFor(t, backend)
      for (let round = 0, version: string | undefined; round < 5; round++) {
        const saves = Array.from({ length: 8 }, (_, index) =>
          (index % 2 === 0 ? store : second).save(sky, markedGrant(`${round}-${index}`), version),
        )
        const results = await Promise.allSettled(saves)
        const won = results.flatMap((result, index) =>
          result.status === 'fulfilled' ? [{ index, version: result.value }] : [],
        )
        assert.equal(won.length, 1)
        for (const result of results) if (result.status === 'rejected') assertFault('conflict', result.reason)
        const stored = await second.load(sky)
        assert.equal(stored?.grant.tokens?.accessToken, `${round}-${won[0]!.index}`)
        assert.equal(stored.version, won[0]!.version)
        version = stored.version
      }
    })

    it('deletes, and takes a delete of nothing as done', async (t) => {
      const { store } = await start(t)
      const version = await store.save(sky, fullGrant(), undefined)
      await store.delete(sky)
      assert.equal(await store.load(sky), undefined)
      assert.deepEqual(await store.versions([sky]), [undefined])
      await rejectsWith('conflict', store.save(sky, fullGrant(), version))
      await store.delete(sky)
      await store.save(sky, fullGrant('again'), undefined)
      assert.equal((await store.load(sky))?.grant.tokens?.accessToken, 'access-again')
    })

    it('lists credentials and subjects of every kind', async (t) => {
      const { store } = await start(t)
      const subjects = [
        'a',
        'A',
        '',
        ' ',
        '../../etc/passwd',
        'mañana@example.org',
        '日本語',
        '🔑',
        'a\u0000b',
        '"revision": 9',
        'x'.repeat(2000),
      ]
      const ids = [sky, other, ...subjects.map((subject): GrantId => ({ credential: 'sky', subject }))]
      for (const id of ids)
        await store.save(id, markedGrant(`token of ${id.credential} ${id.subject ?? 'itself'}`), undefined)
      const byText = (list: readonly GrantId[]) => list.map((id) => JSON.stringify(id)).sort()
      assert.deepEqual(byText(await store.list()), byText(ids))
      for (const id of ids) {
        assert.equal(
          (await store.load(id))?.grant.tokens?.accessToken,
          `token of ${id.credential} ${id.subject ?? 'itself'}`,
        )
      }
    })

    it('tells versions in the order asked for, equal to those of load and save', async (t) => {
      const { store } = await start(t)
      const first = await store.save(sky, markedGrant('one'), undefined)
      const subject: GrantId = { credential: 'sky', subject: 'tenant' }
      const tenant = await store.save(subject, markedGrant('two'), undefined)
      assert.deepEqual(await store.versions([subject, other, sky]), [tenant, undefined, first])
      const second = await store.save(sky, markedGrant('three'), first)
      assert.deepEqual(await store.versions([sky, subject]), [second, tenant])
      assert.deepEqual(await store.versions([]), [])
    })

    it('keeps 200 grants apart', async (t) => {
      const { store } = await start(t)
      const ids = Array.from({ length: 200 }, (_, index): GrantId => ({
        credential: 'sky',
        subject: `tenant ${index}`,
      }))
      const saved: string[] = []
      for (const id of ids) saved.push(await store.save(id, markedGrant(`token ${id.subject}`), undefined))
      assert.deepEqual(await store.versions(ids), saved)
      assert.equal((await store.list()).length, 200)
      for (const id of [ids[0]!, ids[99]!, ids[199]!]) {
        assert.equal((await store.load(id))?.grant.tokens?.accessToken, `token ${id.subject}`)
      }
    })

    it('leases a grant to one at a time, and other grants meanwhile', async (t) => {
      const { store } = await start(t)
      let held = 0
      const order: number[] = []
      await Promise.all(
        Array.from({ length: 6 }, async (_, index) => {
          const lease = await store.acquire(sky, 20_000)
          assert.equal(++held, 1)
          order.push(index)
          await new Promise((resolve) => setImmediate(resolve))
          held--
          await lease.release()
        }),
      )
      assert.equal(order.length, 6)
      const mine = await store.acquire(sky, 1_000)
      const theirs = await store.acquire(other, 1_000)
      await Promise.all([mine.release(), mine.release(), theirs.release()])
    })

    it('gives up with lease-timeout when its patience ends', async (t) => {
      const { store, backend } = await start(t)
      const second = backend.documents === undefined ? store : await openFor(t, backend)
      const lease = await store.acquire(sky, 1_000)
      await rejectsWith('lease-timeout', second.acquire(sky, 60))
      await rejectsWith('lease-timeout', store.acquire(sky, 60))
      await lease.release()
      await (await second.acquire(sky, 5_000)).release()
    })

    it('keeps a lease for longer than its length while its holder lives', async (t) => {
      const { store, backend } = await start(t)
      const second = backend.documents === undefined ? store : await openFor(t, backend)
      const lease = await store.acquire(sky, 1_000)
      await rejectsWith('lease-timeout', second.acquire(sky, backend.lease * 1.7))
      assert.equal(lease.lost.aborted, false)
      await lease.release()
    })

    it('answers a ping', async (t) => {
      const { store } = await start(t)
      await store.ping()
    })

    it('never names a token in its description', async (t) => {
      const { store } = await start(t)
      assert.match(store.description, /^\S.{3,}$/)
    })

    if (options.shared ?? true) testSharing(prepare)
  })
}
