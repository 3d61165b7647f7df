import type { CredentialStatus } from '../tokens/credentials.ts'
import type { RefreshOutcome, RefreshReason } from '../tokens/grant.ts'
import type { ReplayOutcome } from '../tokens/token-source.ts'
import { exposition, type Family, type Sample } from './exposition.ts'
import { credentialGauges, processFigures } from './gauges.ts'
import { RefreshTally } from './refresh-tally.ts'
import { RouteTally } from './route-tally.ts'

/** What one route reports. Get it once per route, not per request. */
export interface RouteMetrics {
  /** Once for every Metrics.requestStarted(). `status` as sent to the caller; `seconds` from the head of the request to the end of the answer. */
  finished(method: string, status: number, seconds: number): void
  replayed(outcome: ReplayOutcome): void
}

/** Totals since start. */
export interface RouteCounts {
  readonly requests: number
  readonly replays: number
}

/** Events go in, Prometheus text comes out. No label ever holds a path or a subject. */
export interface Metrics {
  /** A request came in; its route need not be known yet. */
  requestStarted(): void
  /** `name` is the route's configured name; for requests that fit no route use one fixed word. */
  route(name: string): RouteMetrics
  /** `seconds` from asking for the lease to the durable save. */
  refreshFinished(credential: string, reason: RefreshReason, outcome: RefreshOutcome, seconds: number): void
  counts(route: string): RouteCounts
  /** The text of GET /metrics; its type is expositionType. */
  render(): string
}

export function createMetrics(version: string, list: () => readonly CredentialStatus[]): Metrics {
  const routes = new Map<string, RouteTally>()
  const refreshes = new Map<string, RefreshTally>()
  let startedCount = 0
  const refreshTally = (credential: string) => kept(refreshes, credential, () => new RefreshTally(credential))

  const families: Family[] = [
    {
      name: 'bearer_sidecar_requests_total',
      help: 'Requests answered, by the status sent to the caller.',
      type: 'counter',
      samples: () => each(routes, (tally) => tally.requests()),
    },
    {
      name: 'bearer_sidecar_replays_total',
      help: 'Answers that rejected a token, by what became of the replay.',
      type: 'counter',
      samples: () => each(routes, (tally) => tally.replays()),
    },
    {
      name: 'bearer_sidecar_in_flight_requests',
      help: 'Requests being answered now.',
      type: 'gauge',
      samples: () => [
        { value: [...routes.values()].reduce((running, { finishedCount }) => running - finishedCount, startedCount) },
      ],
    },
    {
      name: 'bearer_sidecar_request_duration_seconds',
      help: 'From the head of a request to the end of its answer.',
      type: 'histogram',
      samples: () => each(routes, (tally) => tally.durations()),
    },
    {
      name: 'bearer_sidecar_token_refreshes_total',
      help: 'Token requests, by why they were made and how they ended.',
      type: 'counter',
      samples() {
        // A series that begins at 0 lets rate() and increase() see the first failure.
        for (const { name, subject } of list()) if (subject === undefined) refreshTally(name)
        return each(refreshes, (tally) => tally.refreshes())
      },
    },
    {
      name: 'bearer_sidecar_token_refresh_duration_seconds',
      help: 'From asking for the lease to the durable save.',
      type: 'histogram',
      samples: () => each(refreshes, (tally) => tally.durations()),
    },
    ...credentialGauges(list),
    ...processFigures,
    {
      name: 'bearer_sidecar_build_info',
      help: 'Always 1; the version is the label.',
      type: 'gauge',
      samples: () => [{ labels: { version }, value: 1 }],
    },
  ]

  return {
    requestStarted() {
      startedCount++
    },
    route: (name) => kept(routes, name, () => new RouteTally(name)),
    refreshFinished(credential, reason, outcome, seconds) {
      refreshTally(credential).finished(reason, outcome, seconds)
    },
    counts: (route) => routes.get(route)?.totals() ?? { requests: 0, replays: 0 },
    render: () => exposition(families),
  }
}

function kept<T>(tallies: Map<string, T>, name: string, make: () => T): T {
  const found = tallies.get(name) ?? make()
  tallies.set(name, found)
  return found
}

function* each<T>(tallies: ReadonlyMap<string, T>, samples: (tally: T) => Iterable<Sample>): Generator<Sample> {
  for (const tally of tallies.values()) yield* samples(tally)
}
