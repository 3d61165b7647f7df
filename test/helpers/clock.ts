import type { Clock } from '../../src/clock.ts'

/** A clock that stands still until advance(); timers run in order of their time. */
export class TestClock implements Clock {
  #now: number
  #monotonic = 1_000
  #timers: { at: number; callback: () => void }[] = []

  constructor(now = Date.parse('2026-01-01T00:00:00Z')) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#monotonic
  }

  schedule(delay: number, callback: () => void): () => void {
    const timer = { at: this.#monotonic + Math.min(Math.max(delay, 0), 2 ** 31 - 1), callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Moves both clocks on and runs what falls due, giving promises and sockets a turn in between. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#monotonic + milliseconds
    for (;;) {
      await settle()
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      const step = Math.max(0, due.at - this.#monotonic)
      this.#monotonic += step
      this.#now += step
      due.callback()
    }
    this.#now += end - this.#monotonic
    this.#monotonic = end
    await settle()
  }

  /** Sets the wall clock alone, as an administrator or NTP would. */
  jump(milliseconds: number): void {
    this.#now += milliseconds
  }

  get pending(): number {
    return this.#timers.length
  }
}

/** Lets promises, sockets and files that are ready make progress. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}
