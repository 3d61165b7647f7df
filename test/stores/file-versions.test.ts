import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import { grantName } from '../../src/stores/grant-name.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { TestClock } from '../helpers/clock.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { FailingFiles } from './failing-files.ts'
import { markedGrant } from './grants.ts'

const old = new Date(Date.now() - 60_000)

/** A store whose documents were all written a minute ago. */
async function settled(t: TestContext, count: number) {
  const directory = tempDir(t)
  const clock = new TestClock()
  const failing = new FailingFiles()
  const codec = documentCodec(null, [])
  const store = await FileStore.open({
    directory,
    codec,
    clock,
    lease: 60_000,
    log: () => undefined,
    files: failing.files,
  })
  const ids = Array.from({ length: count }, (_, index): GrantId => ({ credential: `c${index}` }))
  const path = (id: GrantId) => join(directory, `${grantName(id)}.json`)
  const age = () => utimesSync(directory, old, old)
  const template = await store
    .save(ids[0]!, markedGrant('x'), undefined)
    .then(() => readFileSync(path(ids[0]!), 'utf8'))
  for (const id of ids) {
    writeFileSync(path(id), template.replace('"c0"', `"${id.credential}"`), { mode: 0o600 })
    utimesSync(path(id), old, old)
  }
  age()
  await store.versions(ids)
  const looks = async () => {
    const before = failing.calls.length
    const versions = await store.versions(ids)
    const calls = failing.calls.slice(before)
    return {
      versions,
      stats: calls.filter((call) => call.startsWith('stat ')).length,
      reads: calls.filter((call) => call.startsWith('open ')).length,
    }
  }
  return { directory, clock, store, ids, path, age, looks }
}

describe('a look for changes in the file store', () => {
  it('reads nothing again while nothing changes', async (t) => {
    const { ids, looks, store } = await settled(t, 20)
    const { versions, stats, reads } = await looks()
    assert.deepEqual([stats, reads], [20, 0])
    for (const [index, id] of ids.entries()) assert.equal(versions[index], (await store.load(id))?.version)
  })

  it('does not even look at the files when there are many and their folder did not change', async (t) => {
    const { ids, looks, path, age, clock } = await settled(t, 300)
    const first = await looks()
    assert.deepEqual([first.stats, first.reads], [0, 0])
    copyFileSync(path(ids[1]!), join(path(ids[1]!), '..', 'c7.json'))
    utimesSync(path(ids[7]!), old, new Date(old.getTime() + 1_000))
    age()
    assert.equal((await looks()).stats, 0, 'an edit in place does not show at once')
    await clock.advance(30_000)
    const second = await looks()
    assert.equal(second.stats, 300, 'but within half a minute')
    assert.notEqual(second.versions[7], first.versions[7])
  })

  it('sees a save, a delete and a new grant at once among many', async (t) => {
    const { ids, store, looks } = await settled(t, 300)
    const { versions: before } = await looks()
    const next = await store.save(ids[3]!, markedGrant('new'), before[3])
    await store.delete(ids[4]!)
    const { versions } = await looks()
    assert.equal(versions[3], next)
    assert.equal(versions[4], undefined)
    assert.equal(versions[5], before[5])
    await store.save(ids[4]!, markedGrant('again'), undefined)
    assert.notEqual((await looks()).versions[4], undefined)
  })

  it('is not fooled by a second change that leaves inode, size and time as they were', async (t) => {
    const { ids, path, store, looks } = await settled(t, 5)
    const write = (mark: string) => {
      const text = readFileSync(path(ids[0]!), 'utf8')
      writeFileSync(path(ids[0]!), text.replace(/"accessToken": ".{3}"|"accessToken": "x"/, `"accessToken": "${mark}"`))
    }
    const now = new Date()
    write('aaa')
    utimesSync(path(ids[0]!), now, now)
    const first = (await looks()).versions[0]
    write('bbb')
    utimesSync(path(ids[0]!), now, now)
    const second = (await looks()).versions[0]
    assert.notEqual(first, second)
    assert.equal(second, (await store.load(ids[0]!))?.version)
  })

  it('keeps its answers apart when it is asked for other grants', async (t) => {
    const { ids, store } = await settled(t, 5)
    const [a, b] = [ids[0]!, ids[1]!]
    assert.deepEqual(await store.versions([b, a, b]), [
      ...(await store.versions([b])),
      ...(await store.versions([a, b])),
    ])
  })

  it('says so when the folder is gone', async (t) => {
    const { ids, store, directory } = await settled(t, 2)
    rmSync(directory, { recursive: true })
    await assert.rejects(store.versions(ids), { name: 'StoreError', fault: 'unavailable' })
  })
})
