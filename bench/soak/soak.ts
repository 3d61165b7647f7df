import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startSimulator, type Simulator } from '../../src/simulator/simulator.ts'
import { RedisServer } from '../../test/helpers/redis-server.ts'
import { skyConfig } from '../../test/helpers/start-app.ts'
import { Callers } from './callers.ts'
import { injectFault } from './chaos.ts'
import { MemoryTrack } from './memory.ts'
import { Random } from './random.ts'
import { Replica } from './replica.ts'
import { unexplainedReuse } from './reuse.ts'
import { soakResult, type SoakResult } from './result.ts'

export interface SoakOptions {
  readonly directory: string
  readonly seed: number
  readonly store: 'file' | 'redis'
}

/** Milliseconds of faults and kills, and of peace after them. */
const storm = 20_000
const peace = 6_000

/** The whole stage: provider, store, replicas, callers, and who disturbs them. */
export class Soak {
  readonly options: SoakOptions
  readonly simulator: Simulator
  readonly memory = new MemoryTrack()
  readonly violations: string[] = []
  readonly faults = new Map<string, number>()
  readonly kills: number[] = []
  restarts = 0
  logins = 0
  readonly #random: Random
  readonly #redis: RedisServer | undefined
  readonly #replicas: Replica[] = []
  #checkedCalls = 0

  private constructor(options: SoakOptions, simulator: Simulator, redis: RedisServer | undefined) {
    this.options = options
    this.simulator = simulator
    this.#redis = redis
    this.#random = new Random(options.seed)
  }

  static async prepare(options: SoakOptions): Promise<Soak> {
    const simulator = await startSimulator({ provider: 'blackbaud-sky', accessTokenTtl: 1_000 })
    const redis =
      options.store === 'redis' ? await RedisServer.start(['appendonly yes', 'appendfsync always']) : undefined
    const where =
      redis === undefined
        ? { type: 'file', directory: './tokens' }
        : { type: 'redis', url: `redis://127.0.0.1:${redis.port}` }
    const refresh = { preserveRefreshToken: false, timeout: '2s', cooldown: '1s' }
    mkdirSync(join(options.directory, 'tokens'), { mode: 0o700 })
    writeFileSync(
      join(options.directory, 'bearer-sidecar.yaml'),
      JSON.stringify({
        ...skyConfig(simulator, simulator.seedRefreshToken(), { refresh }),
        proxy: { listen: '127.0.0.1:0', timeouts: { responseHeaders: '3s', idleBody: '3s' } },
        store: { ...where, lease: '10s' },
      }),
    )
    return new Soak(options, simulator, redis)
  }

  /** Runs for this many milliseconds and a little more, to the end of a calm. */
  async run(duration: number): Promise<SoakResult> {
    const started = performance.now()
    for (let count = 0; count < 3; count++) this.#replicas.push(await Replica.start(this.options.directory))
    const callers = new Callers(() => this.#replicas, this.#random, 6)
    const seconds = () => Math.round((performance.now() - started) / 1_000)
    const ticker = setInterval(() => {
      this.#sample()
      if (seconds() % 10 === 0) console.log(this.#line(seconds(), callers))
    }, 1_000)
    try {
      while (performance.now() - started < duration) {
        await this.#storm(Math.min(storm, duration))
        await this.#settle()
        callers.calm = true
        await pause(peace)
        callers.calm = false
      }
    } finally {
      clearInterval(ticker)
      await callers.stop()
    }
    for (const replica of this.#replicas) await this.#end(replica, 'SIGTERM')
    return soakResult(this, callers, seconds())
  }

  async close(): Promise<void> {
    for (const replica of this.#replicas) if (!replica.ended) await replica.end('SIGKILL')
    await this.simulator.close()
    await this.#redis?.stop()
  }

  async #storm(duration: number): Promise<void> {
    const until = performance.now() + duration
    while (performance.now() < until) {
      const dice = this.#random.next()
      if (dice < 0.7) this.#count(injectFault(this.simulator, this.#random))
      else if (dice < 0.8) this.simulator.revokeAccessTokens()
      else if (dice < 0.85) this.#random.pick(this.#replicas).signal('SIGHUP')
      else if (dice < 0.97 || this.#redis === undefined) await this.#replace(1 + Math.floor(this.#random.next() * 2))
      else await this.#restartRedis(this.#redis)
      await pause(this.#random.between(100, 900))
      await this.#loginWhereNeeded()
    }
    this.simulator.clearFaults()
  }

  /** Ends one of the replicas that come and go; another one takes its place. */
  async #replace(slot: number): Promise<void> {
    const old = this.#replicas[slot]
    if (old === undefined) return
    await this.#end(old, this.#random.next() < 0.5 ? 'SIGTERM' : 'SIGKILL')
    this.#replicas[slot] = await Replica.start(this.options.directory)
    this.restarts++
  }

  async #end(replica: Replica, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (replica.ended) return
    if (signal === 'SIGKILL') this.kills.push(Date.now())
    const code = await replica.end(signal)
    if (signal === 'SIGTERM' && code !== 0)
      this.violations.push(`ended with ${String(code)}:\n${replica.log.slice(-2_000)}`)
  }

  async #restartRedis(redis: RedisServer): Promise<void> {
    this.#count('redis restart')
    await redis.kill()
    await pause(this.#random.between(100, 1_500))
    await redis.start()
  }

  /** A person who comes when a grant is dead. */
  async #loginWhereNeeded(): Promise<boolean> {
    const admin = this.#replicas[0]?.adminUrl ?? ''
    const status = (await (await fetch(`${admin}/status`)).json()) as { credentials: { state: string }[] }
    if (!/required/.test(status.credentials[0]?.state ?? '')) return false
    const { accessToken, refreshToken } = this.simulator.seedCustomer()
    const body = JSON.stringify({ access_token: accessToken, refresh_token: refreshToken, expires_in: 1 })
    const put = { method: 'PUT', body, headers: { 'content-type': 'application/json' } }
    const answer = await fetch(`${admin}/credentials/sky/token`, put)
    await answer.arrayBuffer()
    if (answer.ok) this.logins++
    return true
  }

  /** Waits until every replica serves again; that it does, and how soon, is part of what is tested. */
  async #settle(): Promise<void> {
    const until = performance.now() + 60_000
    for (const replica of this.#replicas) {
      for (;;) {
        const response = await fetch(`${replica.url}/echo`)
        await response.arrayBuffer()
        if (response.status === 200 && !(await this.#loginWhereNeeded())) break
        if (performance.now() > until) {
          this.violations.push(`a replica did not recover within 60 s:\n${replica.log.slice(-2_000)}`)
          return
        }
        await pause(200)
      }
    }
    // Replicas that have an older token or a back-off of their own: two rounds of the store's poll.
    await pause(4_000)
  }

  #sample(): void {
    const [steady] = this.#replicas
    if (steady !== undefined) this.memory.add(steady.memory)
    for (const replica of this.#replicas) {
      if (!replica.ended || replica.ending) continue
      replica.ending = true
      this.violations.push(`crashed:\n${replica.log}`)
    }
    const calls = this.simulator.tokenRequests
    if (calls.length === this.#checkedCalls) return
    this.#checkedCalls = calls.length
    const unexplained = unexplainedReuse(calls, this.kills)
    const known = this.violations.filter((violation) => violation.startsWith('reuse')).length
    for (const call of unexplained.slice(known)) this.violations.push(`reuse without a cause: ${JSON.stringify(call)}`)
  }

  #count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1)
  }

  #line(seconds: number, callers: Callers): string {
    const faults = [...this.faults.values()].reduce((sum, count) => sum + count, 0)
    const rss = this.#replicas.map(({ memory }) => Math.round(memory)).join('/')
    return [
      `${String(seconds).padStart(5)} s`,
      `${callers.requests} requests, ${((100 * callers.right) / Math.max(1, callers.requests)).toFixed(1)} % right`,
      `${callers.crossed.length} crossed, ${callers.broken.length} broken in calm`,
      `${this.simulator.stats().tokenRequests} token calls, ${this.simulator.reuseEvents} reuse`,
      `${faults} faults, ${this.kills.length} kills of ${this.restarts} ends, ${this.logins} logins`,
      `RSS ${rss} MiB, ${this.violations.length} violations`,
    ].join(' | ')
  }
}
