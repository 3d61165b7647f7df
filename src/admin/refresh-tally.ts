import type { RefreshOutcome, RefreshReason } from '../tokens/grant.ts'
import type { Sample } from './exposition.ts'
import { Histogram } from './histogram.ts'

const reasons: readonly RefreshReason[] = ['startup', 'expiry', 'rejected', 'keep_alive', 'renewal', 'manual']
const outcomes: readonly RefreshOutcome[] = ['success', 'transient', 'fatal']

/** The refreshes of one credential, its subjects' included. */
export class RefreshTally {
  readonly #credential: string
  readonly #counts = new Map<string, number>()
  readonly #duration = new Histogram([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30])

  constructor(credential: string) {
    this.#credential = credential
  }

  finished(reason: RefreshReason, outcome: RefreshOutcome, seconds: number): void {
    const key = `${reason} ${outcome}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    this.#duration.observe(seconds)
  }

  *refreshes(): Generator<Sample> {
    for (const reason of reasons)
      for (const outcome of outcomes) {
        const labels = { credential: this.#credential, reason, outcome }
        yield { labels, value: this.#counts.get(`${reason} ${outcome}`) ?? 0 }
      }
  }

  durations(): Iterable<Sample> {
    return this.#duration.samples({ credential: this.#credential })
  }
}
