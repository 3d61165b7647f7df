import { openSync, closeSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { FileStore } from '../../src/stores/file.ts'
import { StoreError, type GrantId } from '../../src/stores/token-store.ts'
import { markedGrant } from './grants.ts'

/**
 * A process of its own that works on a file store: `node file-worker.ts <task> <directory> <lease> <times>`. What it did is said on its
 * standard output, a line each.
 */
const [task = '', directory = '', lease = '', times = '0'] = process.argv.slice(2)
const id: GrantId = { credential: 'sky' }
const say = (line: string) => writeSync(1, `${line}\n`)
const store = await FileStore.open({
  directory,
  codec: documentCodec(null, []),
  clock: systemClock,
  lease: Number(lease),
  log: () => undefined,
})

/** Only one process may be in here. */
async function alone(action: () => Promise<void>): Promise<void> {
  const path = join(directory, 'inside')
  try {
    closeSync(openSync(path, 'wx'))
  } catch {
    say('not alone')
  }
  await action()
  unlinkSync(path)
}

async function increment(): Promise<void> {
  const stored = await store.load(id)
  const next = Number(stored?.grant.tokens?.accessToken ?? 0) + 1
  await store.save(id, markedGrant(String(next)), stored?.version)
  say(`saved ${next}`)
}

const tasks: Record<string, () => Promise<void>> = {
  async count() {
    for (let turn = 0; turn < Number(times); turn++) {
      const held = await store.acquire(id, 60_000)
      await alone(increment)
      await held.release()
    }
  },
  async enter() {
    const held = await store.acquire(id, 60_000)
    await alone(async () => {
      say('entered')
      await new Promise((resolve) => setTimeout(resolve, 5))
    })
    await held.release()
  },
  async save() {
    for (;;) await increment()
  },
  async hold() {
    const stored = await store.load(id)
    const held = await store.acquire(id, 60_000)
    held.lost.addEventListener('abort', () => {
      void store
        .save(id, markedGrant('late'), stored?.version)
        .then(
          () => say('saved late'),
          (error: unknown) => say(`lost, ${error instanceof StoreError ? error.fault : String(error)}`),
        )
        .then(() => held.release())
    })
    say('held')
  },
}

// Told by its parent to begin, so that many begin at the same moment.
say('ready')
readFileSync(0)
await tasks[task]?.()
