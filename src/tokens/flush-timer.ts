import type { Clock } from '../clock.ts'

/** Waits between tries to save what could not be saved, in milliseconds. */
const firstDelay = 500
const longestDelay = 15_000

/** Calls for another try to save, at growing distances, until it is stopped. */
export class FlushTimer {
  readonly #clock: Clock
  readonly #flush: () => void
  #failures = 0
  #cancel: (() => void) | undefined

  constructor(clock: Clock, flush: () => void) {
    this.#clock = clock
    this.#flush = flush
  }

  start(): void {
    if (this.#cancel !== undefined) return
    this.#cancel = this.#clock.schedule(Math.min(firstDelay * 2 ** this.#failures, longestDelay), () => {
      this.#cancel = undefined
      this.#failures++
      this.#flush()
    })
  }

  /** Also for good news: the next trouble begins with short waits again. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#failures = 0
  }
}
