import type { ReplayOutcome, RouteCounts, RouteMetrics } from './metrics.ts'

/** RFC 9110, RFC 5789, WebDAV and QUERY. Anything else counts as OTHER: a caller must not make new series at will. */
const knownMethods = new Set(
  'GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH QUERY'.split(
    ' ',
  ),
)

/**
 * Plain numbers for the hot path; the metrics library copies them when it is asked. Its own counters build a key text
 * from the labels for every increment.
 */
export class RouteTally implements RouteMetrics {
  readonly route: string
  finishedCount = 0
  /** Every outcome from the start, so that rate() sees the first of each. */
  readonly replays: Record<ReplayOutcome, number> = {
    success: 0,
    rejected_again: 0,
    not_replayable: 0,
    refresh_failed: 0,
    cooldown: 0,
  }
  readonly #statuses = new Map<string, Map<number, number>>()
  readonly #duration: { observe(seconds: number): void }

  constructor(route: string, duration: { observe(seconds: number): void }) {
    this.route = route
    this.#duration = duration
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
    this.replays[outcome]++
  }

  *requests(): Generator<{ method: string; status: number; count: number }> {
    for (const [method, statuses] of this.#statuses) {
      for (const [status, count] of statuses) yield { method, status, count }
    }
  }

  /** Replays that were sent; the answers that could not be replayed are not among them. */
  totals(): RouteCounts {
    return { requests: this.finishedCount, replays: this.replays.success + this.replays.rejected_again }
  }
}
