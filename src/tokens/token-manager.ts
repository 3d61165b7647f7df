import { sleep, type Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import type { TokenOutcome } from '../oauth/token-answer.ts'
import type { TokenGrant } from '../oauth/token-request.ts'
import type { GrantId, TokenStore, Version } from '../stores/token-store.ts'
import type { CredentialStatus } from './credentials.ts'
import type { Grant, RefreshReason } from './grant.ts'
import { KeptGrant, leaseMargin } from './kept-grant.ts'
import { unavailable } from './refusal.ts'
import { RenewalLimit } from './renewal-limit.ts'
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

/**
 * Serves callers from one grant: at once while its token is fresh, else through the single refresh that all of them share. That refresh belongs
 * to the grant; no caller's disconnect reaches it.
 */
export class TokenManager implements TokenSource {
  readonly id: GrantId
  readonly #clock: Clock
  readonly #kept: KeptGrant
  readonly #limit: RenewalLimit
  #waiting = 0

  constructor(id: GrantId, config: CredentialConfig, deps: TokenManagerDeps) {
    this.id = id
    this.#clock = deps.clock
    this.#kept = new KeptGrant(id, config, deps)
    this.#limit = new RenewalLimit(deps.clock)
  }

  get credential(): string {
    return this.id.credential
  }

  get version(): Version | undefined {
    return this.#kept.record.version
  }

  get grant(): Grant {
    return this.#kept.record.grant
  }

  /** True while nobody waits and nothing would be lost or done twice if this manager were dropped from memory. */
  get idle(): boolean {
    return this.#waiting === 0 && this.#kept.idle
  }

  token(minLife = 0): TokenSet | Promise<TokenSet> {
    return this.#kept.current.fresh ?? this.#attend(() => this.#tokenNow(minLife))
  }

  renew(rejected: TokenSet, when: RenewWhen): TokenSet | Promise<TokenSet> {
    const { live } = this.#kept.current
    if (live !== undefined && live.accessToken !== rejected.accessToken) return this.#use(live)
    return this.#attend(() => this.#renewNow(rejected, when))
  }

  distrust(renewed: TokenSet): void {
    const { current, config } = this.#kept
    if (current.set?.accessToken === renewed.accessToken) this.#limit.pause(renewed, config.refresh.cooldown)
  }

  /** Refreshes now, past any back-off. Rejects with ProxyError. */
  refresh(reason: RefreshReason = 'manual'): Promise<TokenSet> {
    return this.#attend(async () => {
      await this.#opened()
      return this.#refresh(reason, this.#kept.news())
    })
  }

  /** Reads the store unless that is done. Rejects with StoreError. */
  open(): Promise<void> {
    return this.#kept.open()
  }

  /** Takes a grant that a person brought: a login or an import. In effect at once; `unsaved` in the status when it could not be saved. */
  async adopt(tokens: TokenSet): Promise<void> {
    await this.#kept.adopt(tokens)
    this.#limit.clear()
  }

  /** Removes the tokens; a seed of the config does not come back. Rejects with StoreError. */
  forget(): Promise<void> {
    return this.#kept.forget()
  }

  /** Another process wrote the document. Rejects with StoreError. */
  storeChanged(): Promise<void> {
    return this.#kept.storeChanged()
  }

  /** Back in use after retire(). */
  resume(): void {
    this.#kept.resume()
  }

  /** New settings for the same credential; one that was retired is back. */
  reconfigure(config: CredentialConfig): void {
    this.#kept.reconfigure(config)
  }

  status(): CredentialStatus {
    return this.#kept.status()
  }

  /** No refresh begins by the timer from here on; saves that are owed go on. */
  retire(): void {
    this.#kept.retire()
  }

  /** Lets running work end, tries once more to save what is held, and stops all timers. Resolves to whether all is saved. */
  close(): Promise<boolean> {
    return this.#kept.close()
  }

  async #tokenNow(minLife: number): Promise<TokenSet> {
    await this.#opened()
    const { current, config, refreshable } = this.#kept
    const { live } = current
    if (live === undefined) return this.#obtain()
    this.#use(live)
    if (!refreshable) return live
    const left = (live.expiresAt ?? Infinity) - this.#clock.now()
    if (left >= Math.min(minLife, 0.1 * (live.lifetime ?? Infinity))) {
      if (!current.isFresh(live, config.refresh.early)) this.#kept.runBehind('expiry')
      return live
    }
    // A longer life is only asked for: while this one lives, nobody waits for a token endpoint that doesn't answer.
    return this.#refresh('expiry', this.#fresh).catch((error: unknown) => {
      if (current.isLive(live)) return live
      throw error
    })
  }

  async #opened(): Promise<void> {
    await this.#kept.open().catch((error: unknown) => {
      // A client_credentials token can be had without the store.
      if (this.#kept.config.grant === 'client_credentials') return
      throw unavailable('store', this.id, 2, error)
    })
  }

  /** Waits for a usable token through passing faults, as long as a caller may be kept waiting. */
  async #obtain(): Promise<TokenSet> {
    const { current, refresher } = this.#kept
    const until = this.#clock.monotonic() + patience
    for (;;) {
      try {
        return await this.#refresh(current.set === undefined ? 'startup' : 'expiry', this.#fresh)
      } catch (error) {
        const { mayPass, wait } = refresher
        if (!mayPass || this.#kept.closed || this.#clock.monotonic() + wait > until) throw error
        await sleep(this.#clock, wait)
        if (current.live !== undefined) return this.#use(current.live)
      }
    }
  }

  async #renewNow(rejected: TokenSet, when: RenewWhen): Promise<TokenSet> {
    // A refresh that runs costs nothing more, so it serves everyone whose token was rejected meanwhile.
    const { running } = this.#kept.refresher
    let renewed = await this.#refreshRejected(rejected, when)
    // One that ran for another reason began before the rejection, and may have found the rejected token good.
    if (running !== undefined && running !== 'rejected' && renewed.accessToken === rejected.accessToken)
      renewed = await this.#refreshRejected(rejected, when)
    if (renewed.accessToken !== rejected.accessToken) return renewed
    // Asking again would give it once more.
    this.distrust(renewed)
    throw new RenewalDeclined('refresh-failed')
  }

  /** Joins the refresh that runs; begins one only where the limit allows it. Rejects with RenewalDeclined. */
  async #refreshRejected(rejected: TokenSet, when: RenewWhen): Promise<TokenSet> {
    const { current, refresher } = this.#kept
    if (refresher.running === undefined) {
      const why = this.#limit.declines(rejected, when)
      if (why !== undefined) throw new RenewalDeclined(why)
      this.#limit.use(rejected)
    }
    const { accessToken } = rejected
    const known = Math.max(rejected.issuedAt, current.set?.issuedAt ?? 0)
    // Also the same token, where a colleague asked for another one since: the provider has none to give.
    const good = (set: TokenSet) => current.isLive(set) && (set.accessToken !== accessToken || set.issuedAt > known)
    try {
      return await this.#refresh('rejected', good)
    } catch (error) {
      throw new RenewalDeclined('refresh-failed', error)
    }
  }

  /**
   * The refresh that all share, for one who waits. Every waiter has its own deadline: a lease held elsewhere must not hold callers for as long
   * as the refresh itself may wait.
   */
  #refresh(reason: RefreshReason, good: (set: TokenSet) => boolean): Promise<TokenSet> {
    const { current, config, refresher } = this.#kept
    return new Promise((resolve, reject) => {
      const late = () => reject(unavailable('token endpoint', this.id, 2))
      const cancel = this.#clock.schedule(config.refresh.timeout + leaseMargin, late)
      const done = () => {
        if (current.set === undefined) reject(refresher.refusal())
        else resolve(this.#use(current.set))
      }
      void this.#kept.run(reason, good).then(done, reject).finally(cancel)
    })
  }

  readonly #fresh = (set: TokenSet): boolean => this.#kept.current.isFresh(set, this.#kept.config.refresh.early)

  #use(set: TokenSet): TokenSet {
    this.#kept.current.used = true
    return set
  }

  async #attend(work: () => Promise<TokenSet>): Promise<TokenSet> {
    this.#waiting++
    try {
      return await work()
    } finally {
      this.#waiting--
    }
  }
}
