import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import { nodeFileSystem } from '../../src/stores/file-system.ts'
import type { GrantId, StoreLog } from '../../src/stores/token-store.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { rejectsWith } from './store-assertions.ts'
import { fullGrant, markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }
const isRoot = process.geteuid?.() === 0

function open(directory: string, log: StoreLog = () => undefined, files = nodeFileSystem): Promise<FileStore> {
  return FileStore.open({ directory, codec: documentCodec(null, []), clock: systemClock, lease: 60_000, log, files })
}

async function saved(t: TestContext) {
  const directory = tempDir(t)
  const store = await open(directory)
  const version = await store.save(sky, fullGrant('SECRET'), undefined)
  return { directory, store, version, path: join(directory, 'sky.json') }
}

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8)

describe('the folder of the file store', () => {
  it('is created with mode 700, parents too, and its documents with mode 600', async (t) => {
    const directory = join(tempDir(t), 'a', 'b')
    const store = await open(directory)
    await store.save(sky, fullGrant(), undefined)
    await (await store.acquire(sky, 1_000)).release()
    assert.equal(modeOf(directory), '700')
    assert.equal(modeOf(join(directory, 'sky.json')), '600')
    assert.equal(modeOf(join(directory, '.locks')), '700')
  })

  for (const mode of [0o770, 0o707, 0o777, 0o1777]) {
    it(`is refused with mode ${mode.toString(8)}, with the way out`, async (t) => {
      const directory = tempDir(t)
      chmodSync(directory, mode)
      const error = await rejectsWith('unavailable', open(directory))
      assert.match(error.message, /chmod 700/)
      assert.match(error.message, /folder inside it/)
      const inside = await open(join(directory, 'grants'))
      await inside.ping()
    })
  }

  it('may be world-writable where nothing can be written at all: a mounted Secret says so at ping', async (t) => {
    const directory = tempDir(t)
    chmodSync(directory, 0o1777)
    const readOnly = {
      ...nodeFileSystem,
      access: () => Promise.reject(Object.assign(new Error('EROFS'), { code: 'EROFS' })),
    }
    const store = await open(directory, undefined, readOnly)
    assert.equal(await store.load(sky), undefined)
    const error = await rejectsWith('read-only', store.ping())
    assert.match(error.message, /mounted Secret/)
  })

  it('is refused when it is a file', async (t) => {
    const path = join(tempDir(t), 'file')
    writeFileSync(path, '')
    await rejectsWith('unavailable', open(path))
  })

  it('may be reached by a symbolic link', async (t) => {
    const directory = tempDir(t)
    const link = join(tempDir(t), 'link')
    symlinkSync(directory, link)
    const store = await open(link)
    await store.save(sky, fullGrant(), undefined)
    assert.ok(existsSync(join(directory, 'sky.json')))
  })

  it('is refused when it belongs to somebody else', async (t) => {
    const directory = tempDir(t)
    if (isRoot) chownSync(directory, 4242, 4242)
    pretendUser(t, 12_345)
    const error = await rejectsWith('unavailable', open(directory))
    assert.match(error.message, /belongs to uid \d+/)
  })

  it('of another user is given what root creates in it', { skip: !isRoot && 'only root can try this' }, async (t) => {
    const directory = tempDir(t)
    chownSync(directory, 4242, 4343)
    const store = await open(directory)
    await store.save(sky, fullGrant(), undefined)
    const held = await store.acquire(sky, 1_000)
    const [lock = ''] = readdirSync(join(directory, '.locks'))
    for (const name of ['sky.json', '.locks', join('.locks', lock)]) {
      const { uid, gid } = statSync(join(directory, name))
      assert.deepEqual([uid, gid], [4242, 4343], name)
    }
    await held.release()
  })
})

describe('a document of the file store', () => {
  it('is refused when it is a symbolic link, and not written through it', async (t) => {
    const { directory, store } = await saved(t)
    const target = join(tempDir(t), 'target.json')
    writeFileSync(target, readFileSync(join(directory, 'sky.json')))
    symlinkSync(target, join(directory, 'other.json'))
    const other: GrantId = { credential: 'other' }
    const error = await rejectsWith('unavailable', store.load(other))
    assert.match(error.message, /other\.json is a symbolic link/)
    const before = readFileSync(target, 'utf8')
    await rejectsWith('unavailable', store.save(other, markedGrant('x'), undefined))
    assert.equal(readFileSync(target, 'utf8'), before)
    const [version] = await store.versions([other])
    assert.match(version ?? '', /^refused/, 'so that the next load tells why')
  })

  it('is refused when it is a folder or a named pipe, without waiting for a writer', async (t) => {
    const { directory, store } = await saved(t)
    mkdirSync(join(directory, 'folder.json'))
    execFileSync('mkfifo', [join(directory, 'pipe.json')])
    for (const credential of ['folder', 'pipe']) {
      const error = await rejectsWith('unavailable', store.load({ credential }))
      assert.match(error.message, /no regular file/)
    }
  })

  it('is refused when it belongs to somebody else, unless root reads', async (t) => {
    const { store, path } = await saved(t)
    if (isRoot) {
      chownSync(path, 4242, 4242)
      assert.notEqual(await store.load(sky), undefined)
    }
    pretendUser(t, 12_345)
    const error = await rejectsWith('unavailable', store.load(sky))
    assert.match(error.message, /sky\.json belongs to uid \d+/)
  })

  it('that others can read is taken back to mode 600, with a warning', async (t) => {
    const { directory, path } = await saved(t)
    chmodSync(path, 0o644)
    const lines: string[] = []
    const store = await open(directory, (level, message, fields) =>
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
    )
    assert.deepEqual((await store.load(sky))?.grant, fullGrant('SECRET'))
    assert.equal(modeOf(path), '600')
    assert.match(lines.join('\n'), /^warn .*mode.*sky\.json/)
    assert.doesNotMatch(lines.join('\n'), /SECRET/)
  })

  it('of unreasonable size is damaged, and not read', async (t) => {
    const { store, path } = await saved(t)
    writeFileSync(path, ' '.repeat(2 * 1024 ** 2))
    await rejectsWith('damaged', store.load(sky))
  })

  it('never has a name outside of its folder', async (t) => {
    const { store } = await saved(t)
    for (const credential of ['../x', '.', '', 'a/b', 'a.b', 'x'.repeat(64)]) {
      await assert.rejects(async () => store.load({ credential }), TypeError)
    }
  })

  it('that is damaged does not hide the others from a list', async (t) => {
    const { directory } = await saved(t)
    const lines: string[] = []
    const store = await open(directory, (level, message) => lines.push(`${level} ${message}`))
    await store.save({ credential: 'sky', subject: 'one' }, fullGrant(), undefined)
    await store.save({ credential: 'sky', subject: 'two' }, fullGrant(), undefined)
    const name = readdirSync(directory).find((file) => file.startsWith('sky.') && file !== 'sky.json') ?? ''
    writeFileSync(join(directory, name), 'SECRET')
    writeFileSync(join(directory, 'README.txt'), '')
    writeFileSync(join(directory, 'no-grant.name.json'), '')
    assert.equal((await store.list()).length, 2)
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /^warn .*is damaged/)
    assert.doesNotMatch(lines[0] ?? '', /SECRET/)
  })
})

/** Nothing but the store asks for it, so nothing else changes. */
function pretendUser(t: TestContext, uid: number): void {
  t.mock.method(process as { geteuid(): number }, 'geteuid', () => uid)
}
