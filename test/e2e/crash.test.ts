import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { skyStage, type SkyStage } from '../helpers/start-app.ts'

const child = fileURLToPath(new URL('crash-child.ts', import.meta.url))

interface Ending {
  /** undefined when the process was killed before it could tell. */
  readonly report: { state: string; lastError: string | null; calls: number } | undefined
  readonly killed: boolean
}

/** Runs one refresh in a process of its own; `interfere` may kill it. */
async function runChild(
  stage: SkyStage,
  killAt: number,
  interfere?: (child: ChildProcess) => Promise<void>,
): Promise<Ending> {
  const env = { ...process.env, ...(Number.isFinite(killAt) && { KILL_AT: String(killAt) }) }
  const process_ = spawn(process.execPath, [child, stage.directory], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  process_.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const exit = once(process_, 'exit') as Promise<[number | null, string | null]>
  if (interfere !== undefined) await interfere(process_)
  const [, signal] = await exit
  const line = output.split('\n').find((text) => text.startsWith('{'))
  return {
    report: line === undefined ? undefined : (JSON.parse(line) as NonNullable<Ending['report']>),
    killed: signal === 'SIGKILL',
  }
}

/** A grant whose refresh token rotates at every use: preserving it would hide every loss. */
async function rotatingStage(t: TestContext): Promise<SkyStage> {
  const stage = await skyStage(t, {}, { refresh: { preserveRefreshToken: false } })
  writeFileSync(join(stage.directory, 'bearer-sidecar.yaml'), JSON.stringify(stage.config))
  return stage
}

/** After a kill: the document parses, and the next process either goes on or says exactly which answer was lost. */
async function checkAfterKill(stage: SkyStage, lostPossible: boolean, label: string): Promise<'alive' | 'lost'> {
  const text = readFileSync(join(stage.directory, 'tokens', 'sky.json'), { encoding: 'utf8', flag: 'a+' })
  if (text !== '') assert.doesNotThrow(() => JSON.parse(text), label)
  const reuseBefore = stage.simulator.reuseEvents
  const { report } = await runChild(stage, Infinity)
  assert.ok(report, label)
  if (report.state === 'active') return 'alive'
  assert.ok(lostPossible, `${label}: the grant was lost although no answer could have been: ${report.lastError ?? ''}`)
  assert.equal(report.state, 'reauthorization_required', label)
  assert.match(
    report.lastError ?? '',
    /refresh sent at \d{4}-\d\d-\d\dT[\d:.]+Z ended without an answer that was saved/,
    label,
  )
  assert.ok(stage.simulator.reuseEvents - reuseBefore <= 1, label)
  return 'lost'
}

// Every step takes minutes: a run of the suite takes each CRASH_STRIDE-th of them, another one at each run. CRASH_STRIDE=1 takes all.
const stride = Number(process.env['CRASH_STRIDE'] ?? 6)
const rounds = Number(process.env['CRASH_ROUNDS'] ?? 6)

test(
  'a process killed before any of its file system calls loses nothing unexplained',
  { timeout: 600_000 },
  async (t) => {
    let stage = await rotatingStage(t)
    await runChild(stage, Infinity)
    let losses = 0
    for (let killAt = 1 + Math.floor(Math.random() * stride); ; killAt += stride) {
      const before = stage.simulator.tokenRequests.length
      const { killed, report } = await runChild(stage, killAt)
      if (!killed) {
        assert.equal(report?.state, 'active')
        assert.ok(killAt > 20, 'a refresh makes more calls than that')
        break
      }
      const answered = stage.simulator.tokenRequests.length > before
      if ((await checkAfterKill(stage, answered, `killed before call ${killAt}`)) === 'alive') continue
      losses++
      stage = await rotatingStage(t)
      await runChild(stage, Infinity)
    }
    // Only the calls between the provider's answer and the rename of the document can lose it.
    assert.ok(losses < 30 / stride + 2, `${losses} steps lose the answer`)
  },
)

test('a process killed at a random moment loses nothing unexplained', { timeout: 600_000 }, async (t) => {
  let stage = await rotatingStage(t)
  await runChild(stage, Infinity)
  for (let round = 0; round < rounds; round++) {
    const before = stage.simulator.tokenRequests.length
    await runChild(stage, Infinity, async (process_) => {
      if (process_.stdout !== null) await Promise.race([once(process_.stdout, 'data'), once(process_, 'exit')])
      await pause(Math.random() * 25)
      process_.kill('SIGKILL')
    })
    const answered = stage.simulator.tokenRequests.length > before
    if ((await checkAfterKill(stage, answered, `round ${round}`)) === 'alive') continue
    stage = await rotatingStage(t)
    await runChild(stage, Infinity)
  }
})
