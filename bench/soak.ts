/**
 * node bench/soak.ts [--minutes 10 | --hours N] [--seed N] [--store file|redis]
 *
 * Three replicas on one grant with one-second tokens: two of them come and go by SIGTERM and SIGKILL, one stays. The provider shows every
 * fault of the simulator; in between come calm seconds in which every request must succeed. Prints a line every 10 s and writes
 * bench/soak-results.json. Ends with 1 when an answer was crossed, a refresh token was presented twice without a kill or a lost answer that
 * explains it, a replica crashed, a calm request failed, or memory grew.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Soak } from './soak/soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    hours: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
    store: { type: 'string', default: 'file' },
  },
})
const minutes = values.hours === undefined ? Number(values.minutes) : Number(values.hours) * 60
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(seed) || !['file', 'redis'].includes(values.store)) {
  console.error('usage: node bench/soak.ts [--minutes 10 | --hours N] [--seed N] [--store file|redis]')
  process.exit(2)
}

const directory = mkdtempSync(join(tmpdir(), 'bearer-sidecar-soak-'))
console.log(`${minutes} min, seed ${seed}, store ${values.store}`)
const soak = await Soak.prepare({ directory, seed, store: values.store === 'redis' ? 'redis' : 'file' })
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // The replicas are processes of their own: none is left behind.
    void soak.close().finally(() => process.exit(130))
  })
}
try {
  const result = await soak.run(minutes * 60_000)
  writeFileSync(join(import.meta.dirname, 'soak-results.json'), `${JSON.stringify(result, null, 2)}\n`)
  console.log(result.violations.length === 0 ? 'nothing went wrong that may not' : result.violations.join('\n'))
  process.exitCode = result.violations.length === 0 ? 0 : 1
} finally {
  await soak.close()
  rmSync(directory, { recursive: true, force: true })
}
