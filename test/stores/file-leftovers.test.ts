import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import { ownTag } from '../../src/stores/process-tag.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }

function open(directory: string): Promise<FileStore> {
  return FileStore.open({
    directory,
    codec: documentCodec(null, []),
    clock: systemClock,
    lease: 60_000,
    log: () => undefined,
  })
}

async function saved(t: TestContext) {
  const directory = tempDir(t)
  const store = await open(directory)
  const version = await store.save(sky, markedGrant('one'), undefined)
  return { directory, store, version }
}

describe('what crashes left behind', () => {
  it('is removed when the store opens: files of dead processes at once, of unknown ones when they are old', async (t) => {
    const { directory } = await saved(t)
    const [, start = '', machine = ''] = ownTag().split('-')
    const dead = `4194999-1-${machine}`
    const alive = `${process.pid}-${start}-${machine}`
    const reused = `${process.pid}-1-${machine}`
    const elsewhere = '1-1-0123456789ab'
    const nonce = '0123456789abcdef'
    const old = new Date(Date.now() - 3_600_000)
    const locks = join(directory, '.locks')
    mkdirSync(locks, { recursive: true })
    const put = (folder: string, name: string, time?: Date) => {
      writeFileSync(join(folder, name), '')
      if (time) utimesSync(join(folder, name), time, time)
      return name
    }
    put(directory, `.sky.json.${nonce}.${dead}.tmp`)
    put(directory, `.sky.json.${nonce}.${reused}.tmp`)
    put(directory, `.sky.json.${nonce}.${elsewhere}.tmp`, old)
    put(locks, `.sky.${nonce}.${dead}.lock`)
    put(locks, `.probe.${nonce}.${elsewhere}.tmp`, old)
    const kept = [
      put(directory, `.sky.json.${nonce}.${alive}.tmp`),
      put(directory, `.sky.json.f${nonce.slice(1)}.${elsewhere}.tmp`),
      put(directory, '.somebody-elses.tmp', old),
      put(directory, 'notes.tmp', old),
    ]
    const keptLock = put(locks, `.sky.${nonce}.${elsewhere}.lock`, old)
    await open(directory)
    assert.deepEqual(readdirSync(directory).sort(), [...kept, '.locks', 'sky.json'].sort())
    assert.deepEqual(readdirSync(locks), [keptLock], 'a lock from elsewhere is only given up by watching it')
  })

  it('never stands in the way of a save', async (t) => {
    const { directory, store, version } = await saved(t)
    writeFileSync(join(directory, `.sky.json.0123456789abcdef.1-1-0123456789ab.tmp`), 'half a docu')
    await store.save(sky, markedGrant('two'), version)
    assert.deepEqual(
      readdirSync(directory).filter((name) => name !== '.locks'),
      ['sky.json'],
    )
  })

  it('is a lock that says for people whose it was', async (t) => {
    const { directory, store } = await saved(t)
    const held = await store.acquire(sky, 1_000)
    const [name = ''] = readdirSync(join(directory, '.locks'))
    assert.match(name, new RegExp(`^\\.sky\\.[0-9a-f]{16}\\.${process.pid}-\\d+-[0-9a-f]{12}\\.lock$`))
    const text = readFileSync(join(directory, '.locks', name), 'utf8')
    assert.ok(text.includes(`process ${process.pid} on ${hostname()}`), text)
    await held.release()
  })
})
