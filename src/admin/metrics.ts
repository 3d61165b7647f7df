import type { Registry } from '@prometheus-io/client'
import type { CredentialStatus } from '../tokens/credentials.ts'
import type { RefreshOutcome, RefreshReason } from '../tokens/grant.ts'
import { addCredentialGauges, addProcessGauges } from './gauges.ts'
import { RouteTally } from './route-tally.ts'

/** rejected_again: the replay was sent and its token was rejected too. The last three: it was not sent. */
export type ReplayOutcome = 'success' | 'rejected_again' | 'not_replayable' | 'refresh_failed' | 'cooldown'

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
  render(): Promise<string>
  readonly contentType: string
}

const reasons: readonly RefreshReason[] = ['startup', 'expiry', 'rejected', 'keep_alive', 'renewal', 'manual']
const outcomes: readonly RefreshOutcome[] = ['success', 'transient', 'fatal']

/**
 * Loads the client library only now: a process without an admin port never pays for it. The registry is our own, so that
 * another copy of the library in the process cannot add to it.
 */
export async function createMetrics(version: string, list: () => readonly CredentialStatus[]): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import('@prometheus-io/client')
  const registry: Registry = new Registry()
  const registers = [registry]
  const tallies = new Map<string, RouteTally>()
  let startedCount = 0

  new Counter({
    name: 'bearer_sidecar_requests_total',
    help: 'Requests answered, by the status sent to the caller.',
    labelNames: ['route', 'method', 'status'],
    registers,
    collect() {
      this.reset()
      for (const tally of tallies.values()) {
        for (const { method, status, count } of tally.requests())
          this.inc({ route: tally.route, method, status }, count)
      }
    },
  })
  new Counter({
    name: 'bearer_sidecar_replays_total',
    help: 'Answers that rejected a token, by what became of the replay.',
    labelNames: ['route', 'outcome'],
    registers,
    collect() {
      this.reset()
      for (const { route, replays } of tallies.values()) {
        for (const [outcome, count] of Object.entries(replays)) this.inc({ route, outcome }, count)
      }
    },
  })
  new Gauge({
    name: 'bearer_sidecar_in_flight_requests',
    help: 'Requests being answered now.',
    registers,
    collect() {
      this.set([...tallies.values()].reduce((running, { finishedCount }) => running - finishedCount, startedCount))
    },
  })
  const requestDuration = new Histogram({
    name: 'bearer_sidecar_request_duration_seconds',
    help: 'From the head of a request to the end of its answer.',
    labelNames: ['route'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers,
  })
  const refreshes = new Counter({
    name: 'bearer_sidecar_token_refreshes_total',
    help: 'Token requests, by why they were made and how they ended.',
    labelNames: ['credential', 'reason', 'outcome'],
    registers,
    // A series that begins at 0 lets rate() and increase() see the first failure.
    collect() {
      for (const { name: credential, subject } of list()) {
        if (subject !== undefined) continue
        for (const reason of reasons) for (const outcome of outcomes) this.inc({ credential, reason, outcome }, 0)
      }
    },
  })
  const refreshDuration = new Histogram({
    name: 'bearer_sidecar_token_refresh_duration_seconds',
    help: 'From asking for the lease to the durable save.',
    labelNames: ['credential'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30],
    registers,
  })
  addCredentialGauges(Gauge, registry, list)
  addProcessGauges(Gauge, Counter, registry)
  const build = {
    name: 'bearer_sidecar_build_info',
    help: 'Always 1; the version is the label.',
    labelNames: ['version'],
  }
  new Gauge({ ...build, registers }).set({ version }, 1)

  return {
    requestStarted() {
      startedCount++
    },
    route(name) {
      let tally = tallies.get(name)
      if (tally === undefined) {
        tally = new RouteTally(name, requestDuration.labels({ route: name }))
        tallies.set(name, tally)
      }
      return tally
    },
    refreshFinished(credential, reason, outcome, seconds) {
      refreshes.inc({ credential, reason, outcome })
      refreshDuration.observe({ credential }, seconds)
    },
    counts: (route) => tallies.get(route)?.totals() ?? { requests: 0, replays: 0 },
    render: () => registry.metrics(),
    contentType: registry.contentType,
  }
}
