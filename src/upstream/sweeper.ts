/** The step of a sweep, milliseconds: time-outs are at most two steps late and never early. */
const longestStep = 250

/**
 * One coarse timer for all connections of an upstream, instead of one timer per request. Time is counted in ticks: a process that was held up
 * counts one tick for the whole pause, so an answer that waited in the socket meanwhile is read before it is called late.
 */
export class Sweeper {
  /** Ticks so far. */
  tick = 0
  readonly #step: number
  readonly #sweep: () => void
  #timer: NodeJS.Timeout | undefined

  /** `shortest`: the shortest time-out that will be measured, milliseconds. */
  constructor(shortest: number, sweep: () => void) {
    this.#step = Math.max(5, Math.min(longestStep, Math.floor(shortest / 4)))
    this.#sweep = sweep
  }

  /** The number of ticks after which `milliseconds` have surely passed. */
  ticks(milliseconds: number): number {
    return Math.ceil(milliseconds / this.#step) + 1
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.tick++
      this.#sweep()
    }, this.#step).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
