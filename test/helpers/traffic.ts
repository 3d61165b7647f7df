import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

/** Milliseconds between two requests of one caller. */
const gap = 10

/** Steady requests, each with a nonce of its own that the simulator's echo must give back. */
export class Traffic {
  /** What was not a 200 with the caller's own nonce. */
  readonly failures: string[] = []
  requests = 0
  /** Longest request so far, milliseconds. */
  slowest = 0
  readonly #workers: Promise<void>[] = []
  #stopped = false

  /** Adds `callers` that ask the sidecar at `url` one request after the other until stop(); every target names its port. */
  add(url: string, callers: number): void {
    for (let caller = 0; caller < callers; caller++) this.#workers.push(this.#call(url))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#workers)
  }

  async #call(url: string): Promise<void> {
    while (!this.#stopped) {
      const path = `/echo?replica=${new URL(url).port}&nonce=${randomUUID()}`
      const began = performance.now()
      try {
        const response = await fetch(url + path)
        const text = await response.text()
        const { target } = JSON.parse(text) as { target?: string }
        const replay = response.headers.get('bearer-sidecar-replay') ?? ''
        if (response.status !== 200) this.failures.push(`${response.status} ${replay} ${text}`)
        else if (target !== path) this.failures.push(`crossed: ${text}`)
      } catch (error) {
        this.failures.push(String(error))
      }
      this.requests++
      this.slowest = Math.max(this.slowest, performance.now() - began)
      await pause(gap)
    }
  }
}
