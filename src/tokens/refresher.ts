import type { Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { describeError, type ProxyError } from '../errors.ts'
import type { GrantId } from '../stores/token-store.ts'
import { maxHistory, type RefreshReason, type RefreshRecord } from './grant.ts'
import type { Trouble } from './manager-status.ts'
import type { RotationResult } from './rotation.ts'
import { refusal } from './refusal.ts'
import { backoff } from './schedule.ts'
import type { TokenEvents } from './token-events.ts'

export interface RefresherDeps {
  readonly id: GrantId
  readonly clock: Clock
  /** 0 <= n < 1. */
  readonly random: () => number
  readonly events: TokenEvents
  /** The settings of the moment. */
  readonly config: () => CredentialConfig
  /** After every refresh, whatever it came to, and before anybody who waits is told. */
  readonly settled: () => void
}

/** Wait (ms) for the credential whose token authorises the request: nothing was asked of the token endpoint, so nothing doubles. */
const blockedWait = 1_000

/** Lets one refresh run at a time, and knows what went wrong lately and how long to wait before the next try. */
export class Refresher {
  readonly #deps: RefresherDeps
  #flight: { readonly reason: RefreshReason; readonly done: Promise<void> } | undefined
  #trouble: Trouble | undefined
  #failed: RefreshRecord[] = []
  #failures = 0
  #retryAt = 0

  constructor(deps: RefresherDeps) {
    this.#deps = deps
  }

  /** Why the refresh that runs was begun; undefined while none runs. */
  get running(): RefreshReason | undefined {
    return this.#flight?.reason
  }

  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  /** Failed refreshes of this process, oldest first. */
  get failed(): readonly RefreshRecord[] {
    return this.#failed
  }

  /** Milliseconds until the next try may be made; 0 = now. */
  get wait(): number {
    return Math.max(0, this.#retryAt - this.#deps.clock.monotonic())
  }

  /** True when what is wrong may pass by itself. */
  get mayPass(): boolean {
    const trouble = this.#trouble
    if (trouble === undefined || trouble.fatal) return false
    return trouble.blockedBy === undefined || trouble.blockedBy.retryAfter !== undefined
  }

  /**
   * Joins the refresh that runs, or begins one. Rejects with ProxyError when it fails; at once during a back-off or after a fatal answer, which
   * only `manual` passes.
   */
  run(reason: RefreshReason, rotate: () => Promise<RotationResult>): Promise<void> {
    if (this.#flight !== undefined) return this.#flight.done
    if (reason !== 'manual' && (this.#trouble?.fatal === true || this.wait > 0)) return Promise.reject(this.refusal())
    const done = this.#fly(reason, rotate).finally(() => (this.#flight = undefined))
    this.#flight = { reason, done }
    return done
  }

  /** Forgets what went wrong: there is another grant, or there are other settings. */
  clear(): void {
    this.#trouble = undefined
    this.#failures = 0
    this.#retryAt = 0
  }

  /** The stored grant is dead: known without asking. */
  found(trouble: Trouble): void {
    this.#trouble ??= trouble
  }

  /** What a caller without a token is told. */
  refusal(): ProxyError {
    const { config, id } = this.#deps
    return refusal(config(), id, this.#trouble, Math.max(1, Math.ceil(this.wait / 1000)))
  }

  async #fly(reason: RefreshReason, rotate: () => Promise<RotationResult>): Promise<void> {
    const { clock } = this.#deps
    const began = clock.monotonic()
    // Whatever goes wrong ends in a state from which it is tried again.
    const result = await rotate().catch((error: unknown): RotationResult => {
      return {
        kind: 'transient',
        what: 'token endpoint',
        message: `The refresh ended unexpectedly: ${describeError(error)}`,
      }
    })
    this.#settle(result, reason, clock.monotonic() - began)
    if (result.kind !== 'done') throw this.refusal()
  }

  #settle(result: RotationResult, reason: RefreshReason, duration: number): void {
    const { id, clock, random, events, settled } = this.#deps
    if (result.kind === 'done' || result.kind === 'login-required') {
      this.clear()
      settled()
      if (result.kind === 'done' && result.refreshed)
        events.refreshed({ id, reason, outcome: 'success', duration, message: undefined })
      return
    }
    const { kind: outcome, message } = result
    const at = clock.now()
    this.#failed = [...this.#failed, { at, reason, outcome }].slice(-maxHistory)
    if (result.kind === 'fatal') this.#trouble = { fatal: true, error: result.error, message, at }
    else {
      const { what, blockedBy, retryAfter } = result
      this.#trouble = { fatal: false, what, message, at, blockedBy }
      const wait = blockedBy === undefined ? backoff(++this.#failures, retryAfter, random()) : blockedWait
      this.#retryAt = clock.monotonic() + wait
    }
    events.refreshed({ id, reason, outcome, duration, message })
    settled()
  }
}
