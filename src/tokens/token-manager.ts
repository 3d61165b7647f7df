import { sleep, type Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { ProxyError } from '../errors.ts'
import type { TokenOutcome } from '../oauth/token-answer.ts'
import type { TokenGrant } from '../oauth/token-request.ts'
import type { GrantId, TokenStore, Version } from '../stores/token-store.ts'
import type { CredentialState, CredentialStatus } from './credentials.ts'
import { CurrentToken } from './current-token.ts'
import { fingerprint, maxHistory, type Grant, type RefreshReason, type RefreshRecord } from './grant.ts'
import { GrantRecord } from './grant-record.ts'
import { canRefresh, credentialStatus, type Trouble } from './manager-status.ts'
import { RefreshTimer } from './refresh-timer.ts'
import { refusal } from './refusal.ts'
import { rotate, type RotationResult } from './rotation.ts'
import { backoff } from './schedule.ts'
import type { TokenEvents } from './token-events.ts'
import { RenewalDeclined, type RenewWhen, type TokenSource } from './token-source.ts'
import type { TokenSet } from './token-set.ts'

export interface TokenManagerDeps {
  readonly store: TokenStore
  readonly clock: Clock
  /** 0 <= n < 1. */
  readonly random: () => number
  readonly events: TokenEvents
  readonly request: (grant: TokenGrant) => Promise<TokenOutcome>
  /** Lease duration of the store, milliseconds. */
  readonly lease: number
  /** Milliseconds before a refresh token's expiry. */
  readonly refreshTokenWarnings: readonly number[]
}

/** A caller whose token is missing waits this long (ms) through passing faults before it is told to come back. */
const patience = 5_000
const leaseMargin = 5_000

/**
 * Keeps one grant usable: decides when to refresh, lets one refresh run at a time, and knows what is wrong. A refresh belongs to the manager;
 * no caller's disconnect reaches it.
 */
export class TokenManager implements TokenSource {
  readonly id: GrantId
  readonly #deps: TokenManagerDeps
  readonly #clock: Clock
  readonly #record: GrantRecord
  readonly #current: CurrentToken
  readonly #timer: RefreshTimer
  #config: CredentialConfig
  #flight: Promise<TokenSet> | undefined
  #trouble: Trouble | undefined
  #failed: RefreshRecord[] = []
  #failures = 0
  #retryAt = 0
  #cooldownUntil = 0
  /** The access token whose one renewal on doubt (RenewWhen expired-or-once) is used up. */
  #doubted: string | undefined
  #closed = false
  #lastState: CredentialState | undefined

  constructor(id: GrantId, config: CredentialConfig, deps: TokenManagerDeps) {
    this.id = id
    this.#config = config
    this.#deps = deps
    this.#clock = deps.clock
    this.#current = new CurrentToken(deps.clock)
    this.#record = new GrantRecord(id, deps.store, deps.clock, (unsaved, message) => {
      deps.events.savedChanged(id, unsaved, message)
      this.#announce()
    })
    this.#timer = new RefreshTimer(deps.clock, deps.random, deps.refreshTokenWarnings, {
      due: (reason) => this.#onDue(reason),
      expiring: (expiresAt) => deps.events.refreshTokenExpiring(id, expiresAt),
    })
  }

  get credential(): string {
    return this.id.credential
  }

  get version(): Version | undefined {
    return this.#record.version
  }

  get grant(): Grant {
    return this.#record.grant
  }

  /** True while nothing would be lost or done twice if this manager were dropped from memory. */
  get idle(): boolean {
    return this.#flight === undefined && !this.#record.unsaved
  }

  /** Reads the store. Rejects with StoreError. */
  async open(): Promise<void> {
    await this.#record.load()
    this.#take()
  }

  token(minLife = 0): TokenSet | Promise<TokenSet> {
    return this.#current.fresh ?? this.#tokenNow(minLife)
  }

  async renew(rejected: TokenSet, when: RenewWhen): Promise<TokenSet> {
    const live = this.#current.live
    if (live !== undefined && live.accessToken !== rejected.accessToken) return live
    // Many requests meet the same rejection at once: those after the first join its flight.
    const doubtUsedUp = this.#doubted === rejected.accessToken && this.#flight === undefined
    if (when === 'expired-or-once' && !rejected.expired(this.#clock.now()) && doubtUsedUp) {
      throw new RenewalDeclined('not-expired')
    }
    if (this.#clock.monotonic() < this.#cooldownUntil) throw new RenewalDeclined('cooldown')
    this.#doubted = rejected.accessToken
    try {
      return await this.#refresh('rejected', (set) => set.accessToken !== rejected.accessToken && this.#current.isLive(set))
    } catch (error) {
      throw new RenewalDeclined('refresh-failed', error)
    }
  }

  distrust(renewed: TokenSet): void {
    if (this.#current.set?.accessToken !== renewed.accessToken) return
    this.#doubted = renewed.accessToken
    this.#cooldownUntil = this.#clock.monotonic() + this.#config.refresh.cooldown
  }

  /** Refreshes now, past any back-off. Rejects with ProxyError. */
  async refresh(reason: RefreshReason = 'manual'): Promise<TokenSet> {
    if (!this.#record.loaded) await this.#open()
    this.#retryAt = 0
    return this.#refresh(reason, this.#isNews())
  }

  /** Takes a grant that a person brought: a login or an import. In effect at once; `unsaved` in the status when it could not be saved. */
  async adopt(tokens: TokenSet): Promise<void> {
    await this.#flight?.catch(() => undefined)
    const lease = await this.#record.acquire(this.#config.refresh.timeout + leaseMargin).catch(() => undefined)
    try {
      await this.#record.load().catch(() => undefined)
      const next: Grant = { ...this.#record.grant, tokens, attempt: undefined, death: undefined }
      await this.#record.save(next).catch((error: unknown) => this.#record.hold(next, error))
    } finally {
      await lease?.release()
    }
    this.#cooldownUntil = 0
    this.#startOver()
  }

  /** Removes the tokens; a seed of the config does not come back. Rejects with StoreError. */
  async forget(): Promise<void> {
    await this.#flight?.catch(() => undefined)
    await this.#record.load()
    const { grant } = this.#record
    const seed = this.#config.refreshToken
    const usedSeeds = seed === null ? grant.usedSeeds : [...new Set([...grant.usedSeeds, fingerprint(seed)])]
    if (this.id.subject !== undefined) await this.#record.remove()
    else await this.#record.save({ ...grant, tokens: undefined, attempt: undefined, death: undefined, usedSeeds })
    this.#startOver()
  }

  /** Another process wrote the document: looks, unless a refresh is about to do so anyway. Rejects with StoreError. */
  async storeChanged(): Promise<void> {
    if (this.#flight !== undefined || this.#closed) return
    if (await this.#record.load()) this.#startOver()
  }

  /** New settings for the same credential: what is in memory stays, a refusal of the old client credentials is forgotten. */
  reconfigure(config: CredentialConfig): void {
    this.#config = config
    this.#startOver()
  }

  status(): CredentialStatus {
    return credentialStatus({
      id: this.id,
      config: this.#config,
      grant: this.#record.grant,
      current: this.#current.live,
      unsaved: this.#record.unsaved,
      trouble: this.#trouble,
      failed: this.#failed,
      retryAt: this.#clock.now() + Math.max(0, this.#retryAt - this.#clock.monotonic()),
    })
  }

  /** Lets a running refresh end, tries once more to save what is held, and stops all timers. Resolves to whether all is saved. */
  async close(): Promise<boolean> {
    this.#closed = true
    this.#timer.stop()
    await this.#flight?.catch(() => undefined)
    const saved = await this.#record.flush()
    this.#record.close()
    return saved
  }

  async #tokenNow(minLife: number): Promise<TokenSet> {
    if (!this.#record.loaded) await this.#open()
    const live = this.#current.live
    if (live === undefined) return this.#obtain()
    this.#current.used = true
    const left = (live.expiresAt ?? Infinity) - this.#clock.now()
    if (left >= Math.min(minLife, 0.1 * (live.lifetime ?? Infinity))) {
      if (!this.#current.isFresh(live, this.#config.refresh.early)) this.#refreshBehind('expiry')
      return live
    }
    try {
      return await this.#obtain()
    } catch (error) {
      if (this.#current.isLive(live)) return live
      throw error
    }
  }

  async #open(): Promise<void> {
    try {
      await this.open()
    } catch (error) {
      throw new ProxyError('store_unavailable', { retryAfter: 2, cause: error })
    }
  }

  /** Waits for a usable token through passing faults, as long as a caller may be kept waiting. */
  async #obtain(): Promise<TokenSet> {
    const until = this.#clock.monotonic() + patience
    for (;;) {
      try {
        const good = (set: TokenSet) => this.#current.isFresh(set, this.#config.refresh.early)
        return await this.#withDeadline(this.#refresh(this.#current.set === undefined ? 'startup' : 'expiry', good))
      } catch (error) {
        const passing = this.#trouble?.fatal === false && !this.#closed
        if (!passing || this.#retryAt > until || this.#clock.monotonic() >= until) throw error
        await sleep(this.#clock, this.#retryAt - this.#clock.monotonic())
      }
    }
  }

  /** Every waiter has its own deadline: a lease held elsewhere must not hold callers for as long as the refresh itself may wait. */
  #withDeadline(refresh: Promise<TokenSet>): Promise<TokenSet> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new ProxyError('token_endpoint_unavailable', { retryAfter: 2 }))
      const cancel = this.#clock.schedule(this.#config.refresh.timeout + leaseMargin, late)
      void refresh.then(resolve, reject).finally(cancel)
    })
  }

  #refreshBehind(reason: RefreshReason): void {
    this.#refresh(reason, this.#isNews()).catch(() => undefined)
  }

  /** A token set that is live and not the one known now: somebody else refreshed meanwhile. */
  #isNews(): (set: TokenSet) => boolean {
    const before = this.#current.set?.accessToken
    return (set) => set.accessToken !== before && this.#current.isLive(set)
  }

  /** The single flight. `good` says which token set found in the store makes the request needless. */
  #refresh(reason: RefreshReason, good: (set: TokenSet) => boolean): Promise<TokenSet> {
    if (this.#flight !== undefined) return this.#flight
    if (this.#trouble?.fatal === true && reason !== 'manual') return Promise.reject(this.#refusal())
    if (this.#clock.monotonic() < this.#retryAt) return Promise.reject(this.#refusal())
    this.#flight = this.#fly(reason, good).finally(() => (this.#flight = undefined))
    return this.#flight
  }

  async #fly(reason: RefreshReason, good: (set: TokenSet) => boolean): Promise<TokenSet> {
    const started = this.#clock.monotonic()
    const { request, lease } = this.#deps
    const context = { record: this.#record, config: this.#config, clock: this.#clock, leasePatience: lease + leaseMargin, request }
    const result = await rotate(context, reason, good)
    this.#settle(result, reason, this.#clock.monotonic() - started)
    if (result.kind === 'done' && this.#current.set !== undefined) return this.#current.set
    throw this.#refusal()
  }

  #settle(result: RotationResult, reason: RefreshReason, duration: number): void {
    const { events, random } = this.#deps
    if (result.kind === 'done' || result.kind === 'login-required') {
      this.#startOver()
      if (result.kind === 'done' && result.refreshed) events.refreshed({ id: this.id, reason, outcome: 'success', duration, message: undefined })
      return
    }
    const { kind: outcome, message } = result
    const at = this.#clock.now()
    this.#failed = [...this.#failed, { at, reason, outcome }].slice(-maxHistory)
    if (result.kind === 'fatal') this.#trouble = { fatal: true, error: result.error, message, at }
    else {
      this.#trouble = { fatal: false, what: result.what, message, at }
      this.#failures++
      this.#retryAt = this.#clock.monotonic() + backoff(this.#failures, result.retryAfter, random())
    }
    events.refreshed({ id: this.id, reason, outcome, duration, message })
    this.#take()
  }

  #startOver(): void {
    this.#trouble = undefined
    this.#failures = 0
    this.#retryAt = 0
    this.#take()
  }

  /** Makes the record's token set the current one and sets the timer. */
  #take(): void {
    const { tokens, death } = this.#record.grant
    this.#current.replace(tokens, this.#config.refresh.early)
    if (death !== undefined && !canRefresh(this.#config, this.#record.grant)) {
      this.#trouble ??= { fatal: true, error: death.error, message: death.message, at: death.at }
    }
    if (!this.#closed) {
      const notBefore = this.#clock.now() + this.#retryAt - this.#clock.monotonic()
      this.#timer.set(tokens, this.#trouble?.fatal === true ? undefined : this.#config.refresh, notBefore)
    }
    this.#announce()
  }

  /** Without traffic an access token may die in peace: the next request asks for another. keepAlive and renewal don't wait for traffic. */
  #onDue(reason: RefreshReason): void {
    if (reason !== 'expiry' || this.#current.used) this.#refreshBehind(reason)
    else this.#timer.set(this.#record.grant.tokens, { ...this.#config.refresh, early: null }, 0)
  }

  /** Tells of a change of state once, not per request. */
  #announce(): void {
    const status = this.status()
    if (status.state === this.#lastState) return
    const from = this.#lastState
    this.#lastState = status.state
    this.#deps.events.stateChanged(this.id, from, status)
  }

  #refusal(): ProxyError {
    const retryAfter = Math.max(1, Math.ceil((this.#retryAt - this.#clock.monotonic()) / 1000))
    return refusal(this.credential, this.#trouble, retryAfter)
  }
}
