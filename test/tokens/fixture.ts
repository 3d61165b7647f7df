import type { TestContext } from 'node:test'
import type { CredentialConfig } from '../../src/config/schema.ts'
import { TokenEndpoint } from '../../src/oauth/token-endpoint.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { emptyGrant, type Grant } from '../../src/tokens/grant.ts'
import type { RefreshEvent, TokenEvents } from '../../src/tokens/token-events.ts'
import { TokenManager, type TokenManagerDeps } from '../../src/tokens/token-manager.ts'
import { TokenSet, type TokenFields } from '../../src/tokens/token-set.ts'
import { settle, TestClock } from '../helpers/clock.ts'
import { credentialConfig } from '../helpers/credential-config.ts'
import { ObservedStore } from '../helpers/observed-store.ts'
import { TokenServer } from '../helpers/token-server.ts'

export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour

export const sky: GrantId = { credential: 'sky' }

export class EventLog implements TokenEvents {
  readonly refreshes: RefreshEvent[] = []
  readonly states: string[] = []
  readonly unsaved: boolean[] = []
  readonly warnings: number[] = []

  refreshed(event: RefreshEvent): void {
    this.refreshes.push(event)
  }

  stateChanged(_: GrantId, __: string | undefined, { state }: { state: string }): void {
    this.states.push(state)
  }

  savedChanged(_: GrantId, unsaved: boolean): void {
    this.unsaved.push(unsaved)
  }

  refreshTokenExpiring(_: GrantId, expiresAt: number): void {
    this.warnings.push(expiresAt)
  }
}

/** One provider, one store and one clock, and as many managers (processes) over them as a test wants. */
export class World {
  readonly clock = new TestClock()
  readonly store = new ObservedStore(new MemoryStore(this.clock))
  readonly events = new EventLog()
  readonly server: TokenServer
  readonly #t: TestContext
  /** Requests of ours to the token endpoint that are not over. */
  #underWay = 0

  private constructor(t: TestContext, server: TokenServer) {
    this.#t = t
    this.server = server
  }

  static async create(t: TestContext): Promise<World> {
    return new World(t, await TokenServer.start(t))
  }

  config(fields: Record<string, unknown> = {}): CredentialConfig {
    return credentialConfig({ tokenUrl: this.server.url, grant: 'refresh_token', ...fields })
  }

  /** A manager that is closed after the test. Not opened yet. */
  manager(fields: Record<string, unknown> = {}, deps: Partial<TokenManagerDeps> = {}): TokenManager {
    const { clock, store, events } = this
    const config = this.config(fields)
    const manager = new TokenManager(sky, config, {
      store,
      clock,
      random: () => 0.5,
      events,
      lease: minute,
      refreshTokenWarnings: [30 * day, 14 * day, 7 * day, day],
      request: (grant) => this.#counted(new TokenEndpoint(config, clock).request(grant)),
      ...deps,
    })
    this.#t.after(async () => {
      this.store.broken.clear()
      await manager.close()
    })
    return manager
  }

  /** A token set that came just now. */
  tokens(fields: Partial<TokenFields> = {}): TokenSet {
    const now = this.clock.now()
    return new TokenSet({
      accessToken: 'access-0',
      refreshToken: undefined,
      issuedAt: now,
      expiresAt: now + hour,
      refreshIssuedAt: now,
      refreshExpiresAt: undefined,
      scope: undefined,
      ...fields,
    })
  }

  /** Puts a grant into the store, as an earlier process would have left it. */
  async stored(tokens: TokenSet | undefined, rest: Partial<Grant> = {}): Promise<void> {
    const before = await this.store.inner.load(sky)
    await this.store.inner.save(sky, { ...emptyGrant, tokens, ...rest }, before?.version)
  }

  async grantInStore(): Promise<Grant | undefined> {
    return (await this.store.inner.load(sky))?.grant
  }

  /** A manager that holds a live token and a refresh token of the server. */
  async ready(fields: Record<string, unknown> = {}, tokens: Partial<TokenFields> = {}): Promise<TokenManager> {
    await this.stored(this.tokens({ refreshToken: this.server.grant(), ...tokens }))
    const manager = this.manager(fields)
    await manager.open()
    return manager
  }

  /** Lets time pass until the promise settles, as it does for somebody who waits; but not while the network is at work. */
  async waitFor<T>(promise: Promise<T> | T, step = 100): Promise<T> {
    const progress = { over: false }
    const settled = Promise.resolve(promise).finally(() => (progress.over = true))
    settled.catch(() => undefined)
    for (;;) {
      await settle(20)
      await this.until(() => this.#underWay === 0)
      if (progress.over) return settled
      await this.clock.advance(step)
    }
  }

  /** Lets time pass until the promise settles, while a request to the token endpoint hangs. */
  async waitPast<T>(promise: Promise<T>, step = 1000): Promise<T> {
    const progress = { over: false }
    const settled = promise.finally(() => (progress.over = true))
    settled.catch(() => undefined)
    while (!progress.over) await this.clock.advance(step)
    return settled
  }

  /** Until the condition holds; time stands still. */
  async until(condition: () => boolean): Promise<void> {
    for (const end = performance.now() + 10_000; !condition();) {
      if (performance.now() > end) throw new Error('the condition never held')
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  /** Until no refresh is under way. */
  async quiet(): Promise<void> {
    do {
      await this.until(() => this.#underWay === 0)
      await settle(20)
    } while (this.#underWay > 0)
  }

  async #counted<T>(request: Promise<T>): Promise<T> {
    this.#underWay++
    try {
      return await request
    } finally {
      this.#underWay--
    }
  }
}
