import type { Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import type { GrantId } from '../stores/token-store.ts'
import type { CredentialState, CredentialStatus } from './credentials.ts'
import { CurrentToken } from './current-token.ts'
import type { Grant, RefreshReason } from './grant.ts'
import { GrantRecord } from './grant-record.ts'
import { canRefresh, credentialStatus } from './manager-status.ts'
import { Refresher } from './refresher.ts'
import { RefreshTimer } from './refresh-timer.ts'
import { rotate } from './rotation.ts'
import { seedOf, withSeed, withSeedUsed } from './seed.ts'
import type { TokenManagerDeps } from './token-manager.ts'
import type { TokenSet } from './token-set.ts'
import { Turnstile } from './turnstile.ts'

/** Added (ms) to the time that others may rightly hold a lease. */
export const leaseMargin = 5_000

/**
 * One grant in memory: its document, the token in force, the timer that refreshes it, what is wrong with it. Whatever reads or changes the
 * stored grant goes through one turnstile, so that each sees what the one before it left.
 */
export class KeptGrant {
  readonly id: GrantId
  readonly record: GrantRecord
  readonly current: CurrentToken
  readonly refresher: Refresher
  config: CredentialConfig
  readonly #deps: TokenManagerDeps
  readonly #clock: Clock
  readonly #timer: RefreshTimer
  readonly #since: number
  readonly #turns = new Turnstile()
  #opening: Promise<void> | undefined
  #retired = false
  closed = false
  #lastState: CredentialState | undefined

  constructor(id: GrantId, config: CredentialConfig, deps: TokenManagerDeps) {
    const { clock, random, events, refreshTokenWarnings } = deps
    this.id = id
    this.config = config
    this.#deps = deps
    this.#clock = clock
    this.current = new CurrentToken(clock)
    this.record = new GrantRecord(id, deps.store, clock, (unsaved, message) => {
      events.savedChanged(id, unsaved, message)
      this.#take()
    })
    this.#since = clock.now()
    this.#timer = new RefreshTimer(clock, random, refreshTokenWarnings, {
      due: (reason) => this.#onDue(reason),
      expiring: (expiresAt) => events.refreshTokenExpiring(id, expiresAt),
    })
    this.refresher = new Refresher({
      id,
      clock,
      random,
      events,
      config: () => this.config,
      settled: () => this.#take(),
    })
  }

  /** False while something would be lost or done twice if this grant were dropped from memory. */
  get idle(): boolean {
    return !this.#turns.busy && !this.record.unsaved
  }

  get refreshable(): boolean {
    return canRefresh(this.config, this.id, this.record.grant)
  }

  /** Reads the store unless that is done. Rejects with StoreError. */
  async open(): Promise<void> {
    if (this.record.loaded) return
    this.#opening ??= this.#turns.enter(() => this.#load()).finally(() => (this.#opening = undefined))
    await this.#opening
  }

  /** Another process wrote the document: looks, unless a refresh is about to do so anyway. Rejects with StoreError. */
  async storeChanged(): Promise<void> {
    if (!this.#turns.busy && !this.closed) await this.#turns.enter(() => this.#load())
  }

  /**
   * The single flight. `good` says which token set found in the store makes the request needless. Rejects with ProxyError when there is no
   * other token set afterwards.
   */
  run(reason: RefreshReason, good: (set: TokenSet) => boolean): Promise<void> {
    const { clock, lease, request } = this.#deps
    const { record } = this
    return this.refresher.run(reason, () =>
      this.#turns.enter(() =>
        rotate({ record, config: this.config, clock, leasePatience: lease + leaseMargin, request }, reason, good),
      ),
    )
  }

  /** A refresh that nobody waits for. */
  runBehind(reason: RefreshReason): void {
    this.run(reason, this.news()).catch(() => {
      // Refused without a try (a back-off that the timer was a moment early for): nothing else would set the timer again.
      if (!this.#timer.running) this.#setTimer()
    })
  }

  /** Tells a token set that is live and not the one known now: somebody else refreshed meanwhile. */
  news(): (set: TokenSet) => boolean {
    const before = this.current.set?.accessToken
    return (set) => set.accessToken !== before && this.current.isLive(set)
  }

  /** Takes the tokens that a person brought; held unsaved when the store does not take them. */
  adopt(tokens: TokenSet): Promise<void> {
    const seed = seedOf(this.config, this.id)
    const adopted = (grant: Grant): Grant =>
      withSeedUsed(
        { ...grant, tokens, attempt: undefined, death: undefined },
        tokens.refreshToken === seed ? seed : null,
      )
    const hold = (error: unknown) => this.record.hold(adopted(this.record.grant), error)
    return this.#change(() => this.record.replace(adopted).catch(hold))
  }

  /** Removes the tokens and marks the seed as used. Rejects with StoreError. */
  forget(): Promise<void> {
    const seed = seedOf(this.config, this.id)
    // An empty document stays: it tells the other processes that this is no accident, and which seeds were used.
    const forgotten = (grant: Grant): Grant =>
      withSeedUsed({ ...grant, tokens: undefined, attempt: undefined, death: undefined }, seed)
    return this.#change(() => this.record.replace(forgotten))
  }

  /** What is in memory stays, a refusal of the old client credentials is forgotten. */
  reconfigure(config: CredentialConfig): void {
    this.config = config
    this.resume()
    this.#startOver()
  }

  /** Back in use after retire() or close(). */
  resume(): void {
    this.#retired = false
    this.closed = false
    this.record.reopen()
    this.#setTimer()
  }

  status(): CredentialStatus {
    const { trouble, failed, wait } = this.refresher
    const retryAt = wait > 0 ? this.#clock.now() + wait : undefined
    const current = this.current.live
    return credentialStatus({
      id: this.id,
      config: this.config,
      record: this.record,
      current,
      trouble,
      failed,
      retryAt,
    })
  }

  /** No refresh begins by the timer from here on; saves that are owed go on. */
  retire(): void {
    this.#retired = true
    this.#timer.stop()
  }

  /** Lets running work end, tries once more to save what is held, and stops all timers. Resolves to whether all is saved. */
  async close(): Promise<boolean> {
    this.closed = true
    this.retire()
    await this.#turns.drained()
    const saved = await this.record.flush()
    this.record.close()
    return saved
  }

  /** What a person decided. The lease keeps it apart from other processes' refreshes; one that isn't to be had doesn't stop the person. */
  #change(work: () => Promise<void>): Promise<void> {
    return this.#turns.enter(async () => {
      const lease = await this.record.acquire(this.config.refresh.timeout + leaseMargin).catch(() => undefined)
      try {
        await work()
      } finally {
        if (lease !== undefined) await this.record.release(lease)
        this.#startOver()
      }
    })
  }

  /** Another grant begins anew; a colleague's note of a try does not end our back-off. */
  async #load(): Promise<void> {
    const before = this.record.grant
    await this.record.load()
    if (sameGrant(before, this.record.grant)) this.#take()
    else this.#startOver()
  }

  #startOver(): void {
    this.refresher.clear()
    this.#take()
  }

  /** Makes the record's token set the current one and sets the timer. */
  #take(): void {
    const { tokens, death } = this.record.grant
    this.current.replace(tokens, this.config.refresh.early)
    if (death !== undefined && !this.refreshable) {
      this.refresher.found({ fatal: true, error: death.error, message: death.message, at: death.at })
    }
    this.#setTimer()
    this.#announce()
  }

  #setTimer(): void {
    if (this.#retired) return
    const policy = this.refreshable && this.refresher.trouble?.fatal !== true ? this.config.refresh : undefined
    // A seed that no request has used yet is kept alive too.
    const { tokens } = withSeed(this.record.grant, seedOf(this.config, this.id), this.#since)
    this.#timer.set(tokens, policy, this.#clock.now() + Math.ceil(this.refresher.wait))
  }

  /** Without traffic an access token may die in peace: the next request asks for another. keepAlive and renewal don't wait for traffic. */
  #onDue(reason: RefreshReason): void {
    if (reason !== 'expiry' || this.current.used) this.runBehind(reason)
    else this.#timer.set(this.record.grant.tokens, { ...this.config.refresh, early: null }, 0)
  }

  /** Tells of a change of state once, not per request. */
  #announce(): void {
    if (!this.record.loaded) return
    const status = this.status()
    if (status.state === this.#lastState) return
    const from = this.#lastState
    this.#lastState = status.state
    this.#deps.events.stateChanged(this.id, from, status)
  }
}

const sameGrant = (a: Grant, b: Grant) =>
  a.tokens?.accessToken === b.tokens?.accessToken &&
  a.tokens?.refreshToken === b.tokens?.refreshToken &&
  a.death?.fingerprint === b.death?.fingerprint
