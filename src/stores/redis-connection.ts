import type { Clock } from '../clock.ts'
import type { DriverFactory, RedisDriver } from './redis-driver.ts'
import { redisFault } from './redis-fault.ts'
import { StoreError, type StoreLog } from './token-store.ts'

/** After so many commands in a row without an answer the connection is thought dead and replaced. */
const deadAfter = 2
/** A connection that has not come about after so many times its time is begun anew: the servers may have changed roles meanwhile. */
const stuckAfter = 2

export interface RedisConnectionOptions {
  /** Names the server in messages. */
  readonly label: string
  readonly make: DriverFactory
  readonly clock: Clock
  readonly log: StoreLog
  /** Milliseconds until a connection or a command without an answer counts as failed. The command may still be carried out. */
  readonly timeout: number
}

/** A connection that comes back by itself. A command is answered or refused within its time, whatever the server does. */
export class RedisConnection {
  readonly label: string
  readonly #make: DriverFactory
  readonly #clock: Clock
  readonly #log: StoreLog
  readonly #timeout: number
  #driver: RedisDriver | undefined
  #ready: Promise<void> = Promise.resolve()
  #isReady = false
  #openedAt = 0
  #unanswered = 0
  #lastError: unknown
  #inTrouble = false
  #closed = false
  #cancelReopen: (() => void) | undefined

  constructor({ label, make, clock, log, timeout }: RedisConnectionOptions) {
    this.label = label
    this.#make = make
    this.#clock = clock
    this.#log = log
    this.#timeout = timeout
  }

  /** Begins to connect and waits a moment for it. Never rejects: a server that is down now may be up later. */
  async open(): Promise<void> {
    this.#reopen()
    await this.#inTime(this.#ready).catch(() => undefined)
  }

  /** Rejects with StoreError. */
  async command(key: string | undefined, args: readonly string[]): Promise<unknown> {
    return this.#run((driver) => driver.command(key, args))
  }

  /** Every key of the pattern, on all servers. Rejects with StoreError. */
  async keys(pattern: string): Promise<string[]> {
    const found = new Set<string>()
    for (const scan of await this.#run((driver) => driver.scanners())) {
      let cursor = '0'
      do {
        const [next, keys] = (await this.#run(() => scan(['SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000']))) as [
          string,
          string[],
        ]
        for (const key of keys) found.add(key)
        cursor = next
      } while (cursor !== '0')
    }
    return [...found]
  }

  close(): void {
    this.#closed = true
    this.#cancelReopen?.()
    this.#drop()
  }

  async #run<T>(action: (driver: RedisDriver) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError('unavailable', `The connection to Redis at ${this.label} was closed.`)
    const driver = this.#driver
    try {
      const waited = this.#clock.monotonic() - this.#openedAt
      if (!this.#isReady && waited > this.#timeout) throw redisFault(this.#lastError, this.label)
      const result = await this.#inTime(this.#ready.then(() => action(driver as RedisDriver)))
      this.#unanswered = 0
      this.#recovered()
      return result
    } catch (error) {
      if (error instanceof NoAnswer && driver === this.#driver && ++this.#unanswered >= deadAfter) this.#reopen()
      const fault = redisFault(error, this.label)
      if (fault.fault === 'unavailable') this.#trouble(fault)
      throw fault
    }
  }

  #reopen(): void {
    if (this.#closed) return
    this.#drop()
    this.#cancelReopen?.()
    this.#unanswered = 0
    this.#openedAt = this.#clock.monotonic()
    const driver = this.#make((error) => {
      this.#lastError = error
    })
    this.#driver = driver
    this.#reopenAfter(this.#timeout * stuckAfter)
    this.#ready = driver.connect().then(() => {
      if (this.#driver !== driver) return
      this.#isReady = true
      this.#cancelReopen?.()
    })
    this.#ready.catch((error: unknown) => {
      // A cluster or Sentinel client gives up when no node answers the first time.
      if (this.#driver !== driver || this.#closed) return
      this.#lastError = error
      this.#reopenAfter(this.#timeout / 2)
    })
  }

  #reopenAfter(delay: number): void {
    this.#cancelReopen?.()
    this.#cancelReopen = this.#clock.schedule(delay, () => this.#reopen())
  }

  #drop(): void {
    const driver = this.#driver
    this.#driver = undefined
    this.#isReady = false
    try {
      driver?.destroy()
    } catch {
      // It was not open yet.
    }
  }

  #inTime<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.schedule(this.#timeout, () => reject(new NoAnswer()))
      promise.then(resolve, reject).finally(cancel)
    })
  }

  #trouble(fault: StoreError): void {
    if (this.#inTrouble) return
    this.#inTrouble = true
    this.#log('warn', fault.message)
  }

  #recovered(): void {
    if (!this.#inTrouble) return
    this.#inTrouble = false
    this.#log('info', `Redis at ${this.label} is back`)
  }
}

class NoAnswer extends Error {
  override readonly name = 'no answer in time'
}
