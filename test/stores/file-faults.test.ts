import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import type { FileSystem } from '../../src/stores/file-system.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { rejectsWith } from './store-assertions.ts'
import { FailingFiles, type Step } from './failing-files.ts'
import { markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }

function open(directory: string, files?: FileSystem): Promise<FileStore> {
  const codec = documentCodec(null, [])
  return FileStore.open({
    directory,
    codec,
    clock: systemClock,
    lease: 60_000,
    log: () => undefined,
    ...(files && { files }),
  })
}

async function start(t: TestContext) {
  const directory = tempDir(t)
  const failing = new FailingFiles()
  const store = await open(directory, failing.files)
  const version = await store.save(sky, markedGrant('one'), undefined)
  return { directory, failing, store, version }
}

const documents = (directory: string) => readdirSync(directory).filter((name) => name !== '.locks')

describe('a save of the file store', () => {
  it('writes beside the document, syncs, renames and syncs the folder, in this order', async (t) => {
    const { failing, store, version } = await start(t)
    failing.calls.length = 0
    await store.save(sky, markedGrant('two'), version)
    assert.deepEqual(
      failing.calls.filter((call) => !call.startsWith('readdir') && call !== 'open sky.json'),
      [
        'create .sky.json.*.tmp',
        'write .sky.json.*.tmp',
        'sync .sky.json.*.tmp',
        'rename sky.json',
        ...failing.calls.filter((call) => call.startsWith('open directory')),
        ...failing.calls.filter((call) => call.startsWith('sync directory')),
      ],
    )
    assert.equal(failing.calls.filter((call) => call.startsWith('sync directory')).length, 1)
  })

  const steps: Step[] = ['open', 'create', 'write', 'sync', 'rename', 'readdir']
  const codes = [
    ['ENOSPC', 'unavailable', /full/],
    ['EDQUOT', 'unavailable', /quota/],
    ['EROFS', 'read-only', /read-only.*store\.type kubernetes/],
    ['EACCES', 'read-only', /chown/],
    ['EPERM', 'read-only', /chown/],
    ['EIO', 'unavailable', /EIO/],
    ['EXDEV', 'read-only', /Mount the directory/],
    ['EBUSY', 'read-only', /Mount the directory/],
  ] as const
  for (const step of steps) {
    for (const [code, fault, text] of codes) {
      it(`that meets ${code} at ${step} leaves the old document, no scrap, and can be repeated`, async (t) => {
        const { directory, failing, store, version } = await start(t)
        failing.fault = { step, code }
        // Opening the document for reading comes first; that it can't be read is another sentence.
        const expected =
          step === 'open' && fault === 'read-only' && (code === 'EACCES' || code === 'EPERM') ? 'unavailable' : fault
        const { message } = await rejectsWith(expected, store.save(sky, markedGrant('two'), version))
        assert.match(message, text)
        assert.ok(message.includes(directory), 'names the place')
        failing.fault = undefined
        assert.deepEqual(documents(directory), ['sky.json'])
        assert.deepEqual(await (await open(directory)).load(sky), { grant: markedGrant('one'), version })
        const next = await store.save(sky, markedGrant('two'), version)
        assert.deepEqual(await store.load(sky), { grant: markedGrant('two'), version: next })
      })
    }
  }

  for (const step of ['sync directory', 'open directory'] as const) {
    it(`whose ${step} fails is not confirmed, but knows its own text again`, async (t) => {
      const { directory, failing, store, version } = await start(t)
      failing.fault = { step, code: 'EIO' }
      await rejectsWith('unavailable', store.save(sky, markedGrant('two'), version))
      await rejectsWith('unavailable', store.load(sky))
      await rejectsWith('unavailable', store.save(sky, markedGrant('two'), version))
      failing.fault = undefined
      const next = await store.save(sky, markedGrant('three'), version)
      assert.deepEqual(await (await open(directory)).load(sky), { grant: markedGrant('three'), version: next })
      await rejectsWith('conflict', store.save(sky, markedGrant('four'), version))
    })
  }

  it('that was not confirmed gives way to what somebody else saved since', async (t) => {
    const { directory, failing, store, version } = await start(t)
    failing.fault = { step: 'sync directory', code: 'EIO' }
    await rejectsWith('unavailable', store.save(sky, markedGrant('two'), version))
    failing.fault = undefined
    const other = await open(directory)
    await other.save(sky, markedGrant('theirs'), (await other.load(sky))?.version)
    await rejectsWith('conflict', store.save(sky, markedGrant('two'), version))
  })

  it('works on file systems that cannot sync a folder', async (t) => {
    const { failing, store, version } = await start(t)
    failing.fault = { step: 'sync directory', code: 'EINVAL' }
    await store.save(sky, markedGrant('two'), version)
  })
})

describe('other work of the file store', () => {
  for (const [step, code, fault] of [
    ['access', 'EROFS', 'read-only'],
    ['access', 'EACCES', 'read-only'],
    ['create', 'ENOSPC', 'unavailable'],
    ['write', 'ENOSPC', 'unavailable'],
    ['mkdir', 'EROFS', 'read-only'],
  ] as const) {
    it(`tells at ping that ${step} meets ${code}`, async (t) => {
      const { failing, store } = await start(t)
      failing.fault = { step, code }
      await rejectsWith(fault, store.ping())
      failing.fault = undefined
      await store.ping()
    })

    // Leasing asks for no access beforehand.
    if (step === 'access') continue
    it(`has no lease to give when ${step} meets ${code}, and holds nothing back afterwards`, async (t) => {
      const { directory, failing, store } = await start(t)
      failing.fault = { step, code }
      await rejectsWith(fault, store.acquire(sky, 1_000))
      failing.fault = undefined
      await (await store.acquire(sky, 1_000)).release()
      assert.deepEqual(readdirSync(join(directory, '.locks')), [])
    })
  }

  it('reports a delete that could not be made sure of', async (t) => {
    const { directory, failing, store } = await start(t)
    for (const step of ['unlink', 'sync directory'] as const) {
      failing.fault = { step, code: 'EIO' }
      await rejectsWith('unavailable', store.delete(sky))
    }
    failing.fault = undefined
    await store.delete(sky)
    assert.deepEqual(documents(directory), [])
  })

  it('keeps its lease when a heartbeat fails once', async (t) => {
    const directory = tempDir(t)
    let failures = 0
    let beats = 0
    const { files } = new FailingFiles()
    const codec = documentCodec(null, [])
    const store = await FileStore.open({
      directory,
      codec,
      clock: systemClock,
      lease: 240,
      log: () => undefined,
      files: {
        ...files,
        utimes: (path, time) => {
          beats++
          if (failures++ === 0) return Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
          return files.utimes(path, time)
        },
      },
    })
    const held = await store.acquire(sky, 1_000)
    while (beats < 4) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(held.lost.aborted, false)
    await held.release()
    assert.deepEqual(readdirSync(join(directory, '.locks')), [])
  })

  it('loses its lease when no heartbeat comes through for as long as the lease', async (t) => {
    const directory = tempDir(t)
    const { files } = new FailingFiles()
    const broken = { ...files, utimes: () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) }
    const store = await FileStore.open({
      directory,
      codec: documentCodec(null, []),
      clock: systemClock,
      lease: 200,
      log: () => undefined,
      files: broken,
    })
    const began = performance.now()
    const held = await store.acquire(sky, 1_000)
    if (!held.lost.aborted) await new Promise((resolve) => held.lost.addEventListener('abort', resolve, { once: true }))
    assert.ok(performance.now() - began >= 190, 'not before its time')
    await held.release()
  })
})
