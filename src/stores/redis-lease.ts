import { randomUUID } from 'node:crypto'
import { sleep, type Clock } from '../clock.ts'
import { keepLease } from './kept-lease.ts'
import { LocalLock } from './local-lock.ts'
import type { RedisConnection } from './redis-connection.ts'
import { leaseScript, releaseScript } from './redis-scripts.ts'
import { leaseTimeout } from './store-errors.ts'
import { StoreError, type Lease } from './token-store.ts'

/** Milliseconds between two tries to give back a lease that the server could not be told of. */
const returnInterval = 500

/** Leases as keys that expire: the server's clock alone decides. */
export class RedisLeases {
  readonly #redis: RedisConnection
  readonly #clock: Clock
  readonly #duration: number
  readonly #local: LocalLock
  /** By key, the owner names under which an acquire() failed without an answer: the lease may have been given all the same, and is then ours. */
  readonly #undecided = new Map<string, string>()

  /** Cancel the next tries to give back a lease. */
  readonly #returns = new Set<() => void>()
  #closed = false

  /** `duration` in milliseconds. */
  constructor(redis: RedisConnection, clock: Clock, duration: number) {
    this.#redis = redis
    this.#clock = clock
    this.#duration = duration
    this.#local = new LocalLock(clock)
  }

  /** Rejects with StoreError `lease-timeout` after `patience` milliseconds, `unavailable` as soon as the server is. */
  async acquire(key: string, patience: number): Promise<Lease> {
    const place = `Redis key ${key} at ${this.#redis.label}`
    const began = this.#clock.monotonic()
    const release = await this.#local.acquire(key, patience).catch((cause: unknown) => {
      throw leaseTimeout(place, this.#clock.monotonic() - began, cause)
    })
    // A name of its own for each lease: a release that was held up on its way can't hit a later lease.
    const owner = this.#undecided.get(key) ?? randomUUID()
    this.#undecided.delete(key)
    const takeOrRenew = async () =>
      (await this.#redis.command(key, ['EVAL', leaseScript, '1', key, owner, String(this.#duration)])) === 1
    try {
      for (;;) {
        const taken = this.#clock.monotonic()
        if (await takeOrRenew()) {
          return keepLease(this.#clock, this.#duration, taken, {
            renew: takeOrRenew,
            release: () => this.#giveBack(key, owner, this.#clock.monotonic() + this.#duration).then(release),
          })
        }
        const left = began + patience - this.#clock.monotonic()
        if (left <= 0) throw leaseTimeout(place, this.#clock.monotonic() - began)
        await sleep(this.#clock, Math.min(left, 50 + Math.random() * 100))
      }
    } catch (error) {
      if (error instanceof StoreError && error.fault === 'unavailable') this.#undecided.set(key, owner)
      release()
      throw error
    }
  }

  /** Ends the tries to give back; what was not given back runs out by itself. */
  close(): void {
    this.#closed = true
    for (const cancel of this.#returns) cancel()
    this.#returns.clear()
  }

  /** A server that is away is told again once it is back: until the lease runs out by itself, nobody could refresh. Never rejects. */
  async #giveBack(key: string, owner: string, runsOut: number): Promise<void> {
    try {
      await this.#redis.command(key, ['EVAL', releaseScript, '1', key, owner])
    } catch {
      const left = runsOut - this.#clock.monotonic()
      if (left <= 0 || this.#closed) return
      const cancel = this.#clock.schedule(Math.min(left, returnInterval), () => {
        this.#returns.delete(cancel)
        void this.#giveBack(key, owner, runsOut)
      })
      this.#returns.add(cancel)
    }
  }
}
