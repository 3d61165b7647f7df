import type { ReplayOutcome } from '../tokens/token-source.ts'
import type { Sample } from './exposition.ts'
import { Histogram } from './histogram.ts'
import type { RouteCounts, RouteMetrics } from './metrics.ts'

/** RFC 9110, RFC 5789, WebDAV and QUERY. Anything else counts as OTHER: a caller must not make new series at will. */
const knownMethods = new Set(
  'GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH QUERY'.split(
    ' ',
  ),
)

/** The requests of one route. Plain numbers, because every request is counted and few are ever looked at. */
export class RouteTally implements RouteMetrics {
  finishedCount = 0
  readonly #route: string
  /** Every outcome from the start, so that rate() sees the first of each. */
  readonly #replays: Record<ReplayOutcome, number> = {
    success: 0,
    rejected_again: 0,
    not_replayable: 0,
    refresh_failed: 0,
    cooldown: 0,
  }
  readonly #statuses = new Map<string, Map<number, number>>()
  readonly #duration = new Histogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120])

  constructor(route: string) {
    this.#route = route
  }

  finished(method: string, status: number, seconds: number): void {
    this.finishedCount++
    const label = knownMethods.has(method) ? method : 'OTHER'
    const statuses = this.#statuses.get(label) ?? new Map<number, number>()
    this.#statuses.set(label, statuses)
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    this.#duration.observe(seconds)
  }

  replayed(outcome: ReplayOutcome): void {
    this.#replays[outcome]++
  }

  *requests(): Generator<Sample> {
    for (const [method, statuses] of this.#statuses) {
      for (const [status, value] of statuses) yield { labels: { route: this.#route, method, status }, value }
    }
  }

  *replays(): Generator<Sample> {
    for (const [outcome, value] of Object.entries(this.#replays))
      yield { labels: { route: this.#route, outcome }, value }
  }

  durations(): Iterable<Sample> {
    return this.#duration.samples({ route: this.#route })
  }

  /** Replays that were sent; the answers that could not be replayed are not among them. */
  totals(): RouteCounts {
    return { requests: this.finishedCount, replays: this.#replays.success + this.#replays.rejected_again }
  }
}
