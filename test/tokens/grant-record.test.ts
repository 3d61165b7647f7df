import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryStore } from '../../src/stores/memory.ts'
import { GrantRecord } from '../../src/tokens/grant-record.ts'
import { settle, TestClock } from '../helpers/clock.ts'
import { ObservedStore } from '../helpers/observed-store.ts'
import { markedGrant } from '../stores/grants.ts'
import { sky } from './fixture.ts'

function start() {
  const clock = new TestClock()
  const store = new ObservedStore(new MemoryStore(clock))
  const told: boolean[] = []
  const record = new GrantRecord(sky, store, clock, (unsaved) => told.push(unsaved))
  /** Lets the next operation of this kind wait, once it was begun. */
  const hold = (operation: 'save' | 'load') => {
    const gate = Promise.withResolvers<undefined>()
    store.before = async (asked) => {
      if (asked !== operation) return
      store.before = () => undefined
      await gate.promise
    }
    return () => gate.resolve(undefined)
  }
  const stored = async () => (await store.inner.load(sky))?.grant.tokens?.accessToken
  return { clock, store, told, record, hold, stored }
}

const known = (record: GrantRecord) => record.grant.tokens?.accessToken

describe('a grant record', () => {
  it('is not set back by a read that began before a save ended', async () => {
    const { record, store, hold, stored } = start()
    await record.save(markedGrant('first'))
    record.hold(markedGrant('second'))
    const load = store.inner.load.bind(store.inner)
    const old = await load(sky)
    const gate = Promise.withResolvers<typeof old>()
    store.inner.load = () => {
      store.inner.load = load
      return gate.promise
    }
    const loading = record.load()
    assert.equal(await record.flush(), true)
    gate.resolve(old)
    await loading
    assert.equal(known(record), 'second')
    assert.equal(await stored(), 'second')
    record.close()
    hold('save')()
  })

  it('keeps what came while an older one was being saved, and saves that too', async () => {
    const { record, clock, hold, stored, told } = start()
    await record.save(markedGrant('first'))
    const letSave = hold('save')
    record.hold(markedGrant('second'))
    const flushing = record.flush()
    await settle()
    record.hold(markedGrant('third'))
    letSave()
    await flushing
    assert.equal(known(record), 'third')
    assert.equal(record.unsaved, true)
    await clock.advance(1_000)
    assert.equal(await stored(), 'third')
    assert.deepEqual(told, [true, false])
  })

  it('saves one after the other, so that none is refused because of our own', async () => {
    const { record, hold, stored } = start()
    await record.save(markedGrant('first'))
    const letSave = hold('save')
    const saves = ['second', 'third', 'fourth'].map((mark) => record.save(markedGrant(mark)))
    await settle()
    letSave()
    await Promise.all(saves)
    assert.equal(known(record), 'fourth')
    assert.equal(await stored(), 'fourth')
  })

  it('is known only once it was saved', async () => {
    const { record, hold, store } = start()
    const letSave = hold('save')
    const saving = record.save(markedGrant('first'))
    await settle()
    assert.equal(known(record), undefined)
    letSave()
    await saving
    assert.equal(known(record), 'first')
    store.broken.add('save')
    await assert.rejects(record.save(markedGrant('second')))
    assert.equal(known(record), 'first')
    assert.equal(record.unsaved, false)
  })

  it('waits longer and longer between tries to save, and no longer than fifteen seconds', async () => {
    const { record, store, clock } = start()
    const tries: number[] = []
    const began = clock.monotonic()
    store.broken.add('save')
    store.before = (operation) => {
      if (operation === 'save') tries.push((clock.monotonic() - began) / 1000)
    }
    record.hold(markedGrant('first'))
    await clock.advance(65_000)
    assert.deepEqual(tries, [0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5, 60.5])
    store.broken.clear()
    await clock.advance(15_000)
    assert.equal(record.unsaved, false)
    assert.equal(clock.pending, 0)
  })
})
