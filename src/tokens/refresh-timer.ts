import type { Clock } from '../clock.ts'
import type { RefreshReason } from './grant.ts'
import { nextDue, nextWarningAt, warningThreshold, type SchedulePolicy } from './schedule.ts'
import type { TokenSet } from './token-set.ts'

export interface RefreshTimerEvents {
  /** A refresh is due by the schedule. */
  due(reason: RefreshReason): void
  /** A warning threshold was passed; once per threshold until the refresh token's end moves. */
  expiring(refreshExpiresAt: number): void
}

/** An end that is told anew in whole seconds with every answer moves by this much (ms) and is still the same. */
const sameEnd = 60_000

/** The one timer of a token manager: wakes it for the next refresh or the next warning, whichever comes first. */
export class RefreshTimer {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #warnings: readonly number[]
  readonly #events: RefreshTimerEvents
  #cancel: (() => void) | undefined
  #warned: { readonly expiresAt: number; readonly threshold: number } | undefined

  /** `warnings` in milliseconds before the refresh token's expiry. */
  constructor(clock: Clock, random: () => number, warnings: readonly number[], events: RefreshTimerEvents) {
    this.#clock = clock
    this.#random = random
    this.#warnings = warnings
    this.#events = events
  }

  /** Sets the timer for this token set. With `policy` undefined nothing is refreshed, only warned. `notBefore` in milliseconds since the epoch. */
  set(tokens: TokenSet | undefined, policy: SchedulePolicy | undefined, notBefore: number): void {
    this.stop()
    if (tokens === undefined) return
    const now = this.#clock.now()
    const thresholds = this.#thresholds(tokens)
    this.#warn(tokens.refreshExpiresAt, warningThreshold(tokens.refreshExpiresAt, thresholds, now))
    const due = policy && nextDue(tokens, policy, this.#random())
    const dueAt = due === undefined ? Infinity : Math.max(due.at, notBefore)
    const wakeAt = Math.min(dueAt, nextWarningAt(tokens.refreshExpiresAt, thresholds, now) ?? Infinity)
    if (wakeAt === Infinity) return
    this.#cancel = this.#clock.schedule(wakeAt - now, () => {
      this.#cancel = undefined
      // A delay over 24.8 days is cut by the clock, and a wall clock may have been set back: then look again.
      if (due !== undefined && this.#clock.now() >= dueAt) this.#events.due(due.reason)
      else this.set(tokens, policy, notBefore)
    })
  }

  get running(): boolean {
    return this.#cancel !== undefined
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /** A threshold as long as the refresh token's whole life would warn from its first second. */
  #thresholds(tokens: TokenSet): readonly number[] {
    const life = (tokens.refreshExpiresAt ?? 0) - (tokens.refreshIssuedAt ?? tokens.issuedAt)
    return this.#warnings.filter((threshold) => threshold < life)
  }

  #warn(expiresAt: number | undefined, threshold: number | undefined): void {
    if (expiresAt === undefined || threshold === undefined) {
      this.#warned = undefined
      return
    }
    const warned = this.#warned
    if (warned !== undefined && expiresAt <= warned.expiresAt + sameEnd && warned.threshold <= threshold) return
    this.#warned = { expiresAt, threshold }
    this.#events.expiring(expiresAt)
  }
}
