import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import { nodeFileSystem, type FileSystem } from '../../src/stores/file-system.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { rejectsWith } from './store-assertions.ts'
import { markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }

function open(directory: string, files: FileSystem = nodeFileSystem, lease = 60_000): Promise<FileStore> {
  return FileStore.open({
    directory,
    codec: documentCodec(null, []),
    clock: systemClock,
    lease,
    log: () => undefined,
    files,
  })
}

/** A call that stands still until it is let go, as if the process had been stopped right before it. */
class Gate {
  readonly reached: Promise<void>
  #arrive!: () => void
  #go!: () => void
  readonly #gone: Promise<void>
  #open = false

  constructor() {
    this.reached = new Promise((resolve) => (this.#arrive = resolve))
    this.#gone = new Promise((resolve) => (this.#go = resolve))
  }

  async pass(): Promise<void> {
    if (this.#open) return
    this.#arrive()
    await this.#gone
  }

  open(): void {
    this.#open = true
    this.#go()
  }
}

async function stoppedBeforeRename(t: TestContext) {
  const directory = tempDir(t)
  const gate = new Gate()
  const sleeper = await open(directory, {
    ...nodeFileSystem,
    rename: async (from, to) => {
      await gate.pass()
      return nodeFileSystem.rename(from, to)
    },
  })
  const other = await open(directory)
  const version = await other.save(sky, markedGrant('one'), undefined)
  const saving = sleeper.save(sky, markedGrant('late'), version)
  const outcome = saving.catch((error: unknown) => error)
  await gate.reached
  return { directory, gate, other, version, saving, outcome }
}

describe('a save that was stopped between its last look and its rename', () => {
  it('can not overwrite what was saved meanwhile', async (t) => {
    const { directory, gate, other, version, saving, outcome } = await stoppedBeforeRename(t)
    const next = await other.save(sky, markedGrant('two'), version)
    gate.open()
    await outcome
    await rejectsWith('conflict', saving)
    assert.deepEqual(await other.load(sky), { grant: markedGrant('two'), version: next })
    assert.deepEqual(readdirSync(directory), ['sky.json'])
  })

  it('can not bring back what was deleted meanwhile', async (t) => {
    const { directory, gate, other, saving, outcome } = await stoppedBeforeRename(t)
    await other.delete(sky)
    gate.open()
    await outcome
    await rejectsWith('conflict', saving)
    assert.deepEqual(readdirSync(directory), [])
  })

  it('goes through when the other save failed', async (t) => {
    const { directory, gate, other, saving } = await stoppedBeforeRename(t)
    // Another save from an older state takes the temporary files of all others away before it sees that it is too late itself.
    await rejectsWith('conflict', other.save(sky, markedGrant('wrong'), undefined))
    gate.open()
    const version = await saving
    assert.deepEqual(await other.load(sky), { grant: markedGrant('late'), version })
    assert.deepEqual(readdirSync(directory), ['sky.json'])
  })
})

describe('a claim on a lease', () => {
  it('that was stopped before its second look gives way to one that was made meanwhile', async (t) => {
    const directory = tempDir(t)
    const gate = new Gate()
    let looks = 0
    const sleeper = await open(directory, {
      ...nodeFileSystem,
      readdir: async (path) => {
        if (path.endsWith('.locks') && ++looks === 3) await gate.pass()
        return nodeFileSystem.readdir(path)
      },
    })
    const other = await open(directory)
    const waiting = sleeper.acquire(sky, 10_000)
    await gate.reached
    await rejectsWith('lease-timeout', other.acquire(sky, 100))
    gate.open()
    await (await waiting).release()
    await (await other.acquire(sky, 1_000)).release()
  })

  it('that was taken over while its holder was stopped ends that lease and not the new one', async (t) => {
    const directory = tempDir(t)
    const gate = new Gate()
    const sleeper = await open(
      directory,
      {
        ...nodeFileSystem,
        utimes: async (path, time) => {
          await gate.pass()
          return nodeFileSystem.utimes(path, time)
        },
      },
      600,
    )
    const other = await open(directory, undefined, 200)
    const old = await sleeper.acquire(sky, 1_000)
    const held = await other.acquire(sky, 10_000)
    const lost = new Promise((resolve) => old.lost.addEventListener('abort', resolve))
    gate.open()
    await lost
    await old.release()
    assert.equal(held.lost.aborted, false)
    await rejectsWith('lease-timeout', sleeper.acquire(sky, 50))
    await held.release()
  })
})
