import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { largeBody } from './bodies.ts'
import { cpuTime, memory, stop } from './children.ts'
import { load, type Load } from './load.ts'
import { get, run, runOrigin, withRunning, type Running } from './running.ts'
import { megabytes, median, round } from './statistics.ts'
import { sidecar, type Addresses, type SidecarOptions, type Target } from './targets.ts'

export interface Plan {
  readonly directory: string
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  /** Says what is being done. */
  log(text: string): void
}

/** One round of one target. */
export interface Round {
  readonly cpuPerRequest: number
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
}

export interface Comparison {
  readonly target: string
  readonly rounds: readonly Round[]
  readonly median: Round
  /** Median over the rounds of this target's CPU per request divided by that of the sidecar in the same round. */
  readonly cpuRatio: number
  readonly idleMegabytes: number
  readonly loadedMegabytes: number
  readonly peakMegabytes: number
  /** Milliseconds from the start of the process to the end of the first answer; median of the starts. */
  readonly firstAnswer: number
}

async function measure(running: Running, plan: Plan, seconds = plan.seconds, subjects = 0): Promise<Round> {
  const before = cpuTime(running.child)
  const result = await load({
    url: `${running.url}/constituent/v1/constituents/280`,
    seconds,
    connections: plan.connections,
    subjects,
  })
  return summary(result, cpuTime(running.child) - before)
}

function summary({ requests, seconds, p50, p99, errors }: Load, cpu: number): Round {
  if (errors > 0) throw new Error(`${errors} of ${requests} requests failed: the figures would mean nothing`)
  return { cpuPerRequest: round(cpu / requests), requestsPerSecond: Math.round(requests / seconds), p50, p99 }
}

function medianRound(rounds: readonly Round[]): Round {
  const of = (value: (one: Round) => number) => round(median(rounds.map(value)))
  return {
    cpuPerRequest: of((one) => one.cpuPerRequest),
    requestsPerSecond: of((one) => one.requestsPerSecond),
    p50: of((one) => one.p50),
    p99: of((one) => one.p99),
  }
}

/** Small answers: all targets run at once, and each round loads one after the other, so that a slow minute hits all of them. */
export async function compare(plan: Plan, targets: readonly Target[], addresses: Addresses): Promise<Comparison[]> {
  const entries: { target: Target; running: Running; starts: number[]; idle: number; rounds: Round[] }[] = []
  for (const target of targets) {
    const program = (port: number) => target.program(port, addresses, plan.directory)
    const starts: number[] = []
    // The first start fills caches (file system, compiled code) and is not counted.
    for (let index = 0; index < 6; index++) {
      const { child, firstAnswer } = await run(program)
      if (index > 0) starts.push(firstAnswer)
      await stop(child)
    }
    const running = await run(program)
    await pause(2000)
    entries.push({ target, running, starts, idle: memory(running.child).now, rounds: [] })
  }
  try {
    for (const { running } of entries) await measure(running, plan, 2)
    for (let index = 0; index < plan.rounds; index++) {
      for (const { target, running, rounds } of entries) {
        const result = await measure(running, plan)
        rounds.push(result)
        plan.log(
          `round ${index + 1} ${target.name}: ${result.cpuPerRequest} us, ${result.requestsPerSecond}/s, p99 ${result.p99} us`,
        )
      }
    }
    const [own] = entries
    return entries.map(({ target, running, starts, idle, rounds }) => {
      const { now, peak } = memory(running.child)
      const ratios = rounds.map(
        ({ cpuPerRequest }, index) => (own?.rounds[index]?.cpuPerRequest ?? NaN) / cpuPerRequest,
      )
      return {
        target: target.name,
        rounds,
        median: medianRound(rounds),
        cpuRatio: round(median(ratios), 2),
        idleMegabytes: megabytes(idle),
        loadedMegabytes: megabytes(now),
        peakMegabytes: megabytes(peak),
        firstAnswer: Math.round(median(starts)),
      }
    })
  } finally {
    for (const { running } of entries) await stop(running.child)
  }
}

/** One connection, one request at a time: what a proxy adds to a call. Microseconds. */
export async function addedLatency(plan: Plan, targets: readonly Target[], addresses: Addresses) {
  const once = (url: string) =>
    load({
      url,
      seconds: plan.seconds,
      connections: 1,
      headers: { Authorization: 'Bearer direct', 'Bb-Api-Subscription-Key': 'key' },
    })
  const direct = await once(`https://127.0.0.1:${addresses.upstream}/`)
  const through: Record<string, { p50: number; p99: number }> = {}
  for (const target of targets) {
    const { p50, p99 } = await withRunning(
      (port) => target.program(port, addresses, plan.directory),
      async ({ url }) => {
        await load({ url: `${url}/`, seconds: 1, connections: 1 })
        return await once(`${url}/`)
      },
    )
    through[target.name] = { p50: p50 - direct.p50, p99: p99 - direct.p99 }
  }
  return { direct: { p50: direct.p50, p99: direct.p99 }, added: through }
}

/** Bodies of 10 MB, one at a time: CPU milliseconds and megabytes per second, down (GET) and up (POST). */
export async function largeBodies(plan: Plan, targets: readonly Target[]) {
  const { addresses, close } = await runOrigin({ directory: plan.directory, large: true })
  const body = Buffer.alloc(largeBody, 'x')
  const times = plan.rounds * 4
  try {
    const results: Record<string, Record<'down' | 'up', { cpuMilliseconds: number; megabytesPerSecond: number }>> = {}
    for (const target of targets) {
      results[target.name] = await withRunning(
        (port) => target.program(port, addresses, plan.directory),
        async ({ child, url }) => {
          const transfer = async (upload: boolean) => {
            const once = () => get(`${url}/large`, {}, upload ? body : undefined)
            await once()
            const [cpu, began] = [cpuTime(child), performance.now()]
            for (let index = 0; index < times; index++) {
              const status = await once()
              if (status !== 200) throw new Error(`${target.name} answered ${status} to a large body`)
            }
            const seconds = (performance.now() - began) / 1000
            return {
              cpuMilliseconds: round((cpuTime(child) - cpu) / 1000 / times),
              megabytesPerSecond: Math.round((largeBody * times) / 1e6 / seconds),
            }
          }
          return { down: await transfer(false), up: await transfer(true) }
        },
      )
    }
    return results
  } finally {
    await close()
  }
}

/** The sidecar alone under options, in turn with the sidecar without them: the median ratio of CPU per request. */
async function cost(plan: Plan, addresses: Addresses, options: SidecarOptions, subjects = 0) {
  const start = (own: SidecarOptions) => run((port) => sidecar(port, addresses, plan.directory, own), '/')
  const [plain, other] = [await start({}), await start(options)]
  try {
    await measure(plain, plan, 2)
    await measure(other, plan, subjects > 1000 ? 10 : 2, subjects)
    const ratios: number[] = []
    const figures: Round[] = []
    for (let index = 0; index < plan.rounds; index++) {
      const base = await measure(plain, plan)
      const figure = await measure(other, plan, plan.seconds, subjects)
      figures.push(figure)
      ratios.push(figure.cpuPerRequest / base.cpuPerRequest)
    }
    return {
      ...medianRound(figures),
      cpuRatio: round(median(ratios), 2),
      loadedMegabytes: megabytes(memory(other.child).now),
    }
  } finally {
    await stop(plain.child)
    await stop(other.child)
  }
}

/** One log line per request, written to a file. */
export async function accessLogging(plan: Plan, addresses: Addresses) {
  const output = join(plan.directory, 'access.log')
  try {
    return await cost(plan, addresses, { accessLog: true, output })
  } finally {
    rmSync(output, { force: true })
  }
}

export async function manySubjects(plan: Plan, addresses: Addresses, subjects: number) {
  return { subjects, ...(await cost(plan, addresses, { subjects: true }, subjects)) }
}

/** Tokens that live ten seconds from a token endpoint that takes 800 ms: what callers notice of it. Microseconds. */
export async function throughExpiry(plan: Plan) {
  const { addresses, close } = await runOrigin({ directory: plan.directory, tokenLife: 10, tokenDelay: 800 })
  try {
    return await withRunning(
      (port) => sidecar(port, addresses, plan.directory),
      async ({ url }) => {
        const { requests, p50, p99, max, errors } = await load({ url: `${url}/`, seconds: 25, connections: 8 })
        return { tokenLifeSeconds: 10, tokenEndpointMilliseconds: 800, seconds: 25, requests, p50, p99, max, errors }
      },
    )
  } finally {
    await close()
  }
}

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds))
