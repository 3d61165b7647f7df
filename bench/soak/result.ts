import { cpus } from 'node:os'
import type { Callers } from './callers.ts'
import type { Soak } from './soak.ts'

export interface SoakResult {
  readonly date: string
  readonly node: string
  readonly cores: number
  readonly store: string
  readonly seed: number
  readonly seconds: number
  readonly requests: number
  readonly right: number
  /** How often callers met what; `200` is a right answer, other words are the sidecar's codes. */
  readonly answers: Record<string, number>
  readonly crossed: number
  readonly brokenInCalm: number
  readonly tokenCalls: number
  /** All of them explained by a kill or by an answer that the provider lost, else there are violations. */
  readonly reuseEvents: number
  readonly kills: number
  readonly restarts: number
  readonly logins: number
  readonly faults: Record<string, number>
  readonly memory: { readonly slopeMiBPerMinute: number; readonly growth: number; readonly lastMiB: number }
  readonly violations: readonly string[]
}

/** Memory of a process that is flat moves by less than this between the third and the last quarter of a run. */
const allowedGrowth = 1.25

export function soakResult(soak: Soak, callers: Callers, seconds: number): SoakResult {
  const { memory, simulator, options, kills, restarts, logins, faults } = soak
  const violations = [...soak.violations, ...callers.crossed.map((text) => `crossed answer: ${text}`)]
  for (const outcome of callers.broken) violations.push(`a request failed in the calm: ${outcome}`)
  if (memory.growth > allowedGrowth) violations.push(`memory grew by a factor of ${memory.growth.toFixed(2)}`)
  return {
    date: new Date().toISOString(),
    node: process.version,
    cores: cpus().length,
    store: options.store,
    seed: options.seed,
    seconds,
    requests: callers.requests,
    right: callers.right,
    answers: Object.fromEntries([...callers.counts].sort(([, a], [, b]) => b - a)),
    crossed: callers.crossed.length,
    brokenInCalm: callers.broken.length,
    tokenCalls: simulator.stats().tokenRequests,
    reuseEvents: simulator.reuseEvents,
    kills: kills.length,
    restarts,
    logins,
    faults: Object.fromEntries([...faults].sort()),
    memory: {
      slopeMiBPerMinute: Number(memory.slope.toFixed(2)),
      growth: Number(memory.growth.toFixed(3)),
      lastMiB: Math.round(memory.samples.at(-1)?.[1] ?? 0),
    },
    violations,
  }
}
