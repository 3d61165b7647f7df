import type { Clock } from '../clock.ts'

/** Counted in ticks, so that noting progress costs an assignment instead of a look at the clock. */
export interface Watched {
  /** Called once per tick while watched. */
  onTick(): void
}

/** One timer for everything that may stall: uploads, slow readers. Runs only while something is watched. */
export class Watchdog {
  readonly #clock: Clock
  readonly #watched = new Set<Watched>()
  #cancel: (() => void) | undefined
  /** Milliseconds between ticks. */
  #period: number

  constructor(clock: Clock, period: number) {
    this.#clock = clock
    this.#period = period
  }

  set period(milliseconds: number) {
    this.#period = milliseconds
  }

  /** Ticks after which `milliseconds` have passed for certain. */
  ticks(milliseconds: number): number {
    return Math.ceil(milliseconds / this.#period)
  }

  add(watched: Watched): void {
    this.#watched.add(watched)
    this.#arm()
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched)
  }

  close(): void {
    this.#watched.clear()
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    this.#cancel ??= this.#clock.schedule(this.#period, () => {
      this.#cancel = undefined
      for (const watched of this.#watched) watched.onTick()
      if (this.#watched.size > 0) this.#arm()
    })
  }
}

/** Short time-outs are kept to a quarter, long ones to a second. */
export function tickPeriod(timeouts: readonly number[]): number {
  return Math.min(1000, Math.max(10, Math.floor(Math.min(...timeouts) / 4)))
}
