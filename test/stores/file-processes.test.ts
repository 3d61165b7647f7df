import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import { ownTag } from '../../src/stores/process-tag.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }
const worker = new URL('file-worker.ts', import.meta.url).pathname

class Worker {
  readonly lines: string[] = []
  readonly child: ChildProcess
  readonly exited: Promise<unknown>
  #waiting: (() => void)[] = []

  constructor(t: TestContext, task: string, directory: string, options: { lease?: number; times?: number } = {}) {
    const args = [worker, task, directory, String(options.lease ?? 60_000), String(options.times ?? 1)]
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.exited = once(this.child, 'exit')
    const lines = createInterface({ input: this.child.stdout! })
    lines.on('line', (line) => {
      this.lines.push(line)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    t.after(async () => {
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line))
      if (found !== undefined) return found
      if (this.child.exitCode !== null) throw new Error(`the worker ended without saying ${pattern.source}`)
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        this.child.once('exit', resolve)
      })
    }
  }

  begin(): void {
    this.child.stdin!.end()
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
  }
}

function open(directory: string, lease = 60_000): Promise<FileStore> {
  return FileStore.open({ directory, codec: documentCodec(null, []), clock: systemClock, lease, log: () => undefined })
}

async function startAll(workers: readonly Worker[]): Promise<void> {
  await Promise.all(workers.map((one) => one.says(/^ready/)))
  for (const one of workers) one.begin()
}

describe('several processes on one file store', () => {
  it('lose no update', async (t) => {
    const directory = tempDir(t)
    const workers = Array.from({ length: 3 }, () => new Worker(t, 'count', directory, { times: 15 }))
    await startAll(workers)
    await Promise.all(workers.map((one) => one.exited))
    for (const one of workers) assert.equal(one.child.exitCode, 0)
    assert.equal((await (await open(directory)).load(sky))?.grant.tokens?.accessToken, '45')
    assert.ok(!workers.some((one) => one.lines.includes('not alone')))
    assert.deepEqual(readdirSync(directory).sort(), ['.locks', 'sky.json'])
    assert.deepEqual(readdirSync(join(directory, '.locks')), [])
  })

  it('that all find the same dead locks never break in together', async (t) => {
    const directory = tempDir(t)
    const locks = join(directory, '.locks')
    const workers = Array.from({ length: 6 }, () => new Worker(t, 'enter', directory))
    await Promise.all(workers.map((one) => one.says(/^ready/)))
    // Placed after they opened the store, so that only the lock itself can clear them away.
    mkdirSync(locks, { recursive: true })
    const machine = ownTag().split('-')[2] ?? ''
    for (let index = 0; index < 5; index++)
      writeFileSync(join(locks, `.sky.${'0'.repeat(15)}${index}.4194999-${index}-${machine}.lock`), '')
    for (const one of workers) one.begin()
    await Promise.all(workers.map((one) => one.exited))
    for (const one of workers) assert.deepEqual(one.lines, ['ready', 'entered'])
    assert.deepEqual(readdirSync(locks), [])
  })

  it('always find a whole document after a SIGKILL in the middle of saves, no older than the last one confirmed', async (t) => {
    const directory = tempDir(t)
    const store = await open(directory)
    let confirmed = 0
    for (let round = 0; round < 6; round++) {
      const one = new Worker(t, 'save', directory)
      await startAll([one])
      await one.says(/^saved/)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 15))
      await one.kill()
      const last = Number(one.lines.at(-1)?.split(' ')[1])
      const found = Number((await store.load(sky))?.grant.tokens?.accessToken)
      assert.ok(last > confirmed, 'it got on')
      assert.ok(found === last || found === last + 1, `${found} after ${last}`)
      confirmed = last
    }
    await open(directory)
    assert.deepEqual(readdirSync(directory), ['sky.json'], 'no scraps')
  })

  it('hand the lease over at once when its holder dies, however long the lease is', async (t) => {
    const directory = tempDir(t)
    const holder = new Worker(t, 'hold', directory, { lease: 3_600_000 })
    await startAll([holder])
    await holder.says(/^held/)
    const store = await open(directory, 3_600_000)
    const waiting = store.acquire(sky, 20_000)
    await holder.kill()
    const began = performance.now()
    const held = await waiting
    assert.ok(performance.now() - began < 1_000)
    await held.release()
  })

  it('take over from a holder that is stopped, whose save is a conflict when it wakes up', async (t) => {
    const directory = tempDir(t)
    const store = await open(directory, 400)
    const version = await store.save(sky, markedGrant('before'), undefined)
    const holder = new Worker(t, 'hold', directory, { lease: 400 })
    await startAll([holder])
    await holder.says(/^held/)
    holder.child.kill('SIGSTOP')
    const held = await store.acquire(sky, 20_000)
    const next = await store.save(sky, markedGrant('after'), version)
    holder.child.kill('SIGCONT')
    assert.equal(await holder.says(/late|lost/), 'lost, conflict')
    assert.deepEqual(await store.load(sky), { grant: markedGrant('after'), version: next })
    assert.equal(held.lost.aborted, false)
    await held.release()
  })

  it('are let go by a held lease that was released, and by an open store', async (t) => {
    const directory = tempDir(t)
    const one = new Worker(t, 'count', directory, { times: 1 })
    await startAll([one])
    const began = performance.now()
    await one.exited
    assert.ok(performance.now() - began < 5_000, 'no timer of the 60 s lease kept it')
  })
})
