import { systemClock, type Clock } from '../../src/clock.ts'

/** The real clock, whose timers can be held back as in a process that was stopped, and let go on. */
export class StallingClock implements Clock {
  #held: Set<() => void> | undefined
  readonly #timers = new Set<() => void>()

  now(): number {
    return systemClock.now()
  }

  monotonic(): number {
    return systemClock.monotonic()
  }

  schedule(delay: number, callback: () => void): () => void {
    const cancel = systemClock.schedule(delay, () => {
      this.#timers.delete(cancel)
      if (this.#held === undefined) callback()
      else this.#held.add(callback)
    })
    this.#timers.add(cancel)
    return () => {
      cancel()
      this.#timers.delete(cancel)
      this.#held?.delete(callback)
    }
  }

  stall(): void {
    this.#held ??= new Set()
  }

  resume(): void {
    const due = [...(this.#held ?? [])]
    this.#held = undefined
    for (const callback of due) callback()
  }

  /** Ends it for good, so that nothing keeps the test running. */
  stop(): void {
    for (const cancel of this.#timers) cancel()
  }
}
