import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Config, CredentialConfig } from '../config/schema.ts'
import { describeError } from '../errors.ts'
import { TokenEndpoint } from '../oauth/token-endpoint.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { UnknownCredential } from './credentials.ts'
import type { TokenEvents } from './token-events.ts'
import { TokenManager } from './token-manager.ts'

export interface TokenSourcesDeps {
  readonly store: TokenStore
  readonly clock: Clock
  readonly random: () => number
  readonly events: TokenEvents
  /** Token managers of subjects kept in memory; older ones are read from the store again when they are asked for. */
  readonly maxSubjects?: number
}

/** Milliseconds between two looks for changes that others made to the store. CONTRACT section 4 allows 5 s. */
const pollInterval = 2_000

/** The token managers: one per credential, and one per credential and subject in a bounded LRU. */
export class TokenSources {
  readonly #deps: TokenSourcesDeps
  readonly #managers = new Map<string, TokenManager>()
  readonly #subjects: LRUCache<string, TokenManager>
  /** Evicted while a refresh ran or a save was owed: kept until that is over, so that nothing is lost or done twice. */
  readonly #busy = new Map<string, TokenManager>()
  #config: Pick<Config, 'credentials' | 'store' | 'notify'>
  #cancelPoll: (() => void) | undefined
  #closed = false
  /** Why the store could not be looked at the last time; undefined when it could. */
  storeError: string | undefined

  constructor(config: Pick<Config, 'credentials' | 'store' | 'notify'>, deps: TokenSourcesDeps) {
    this.#config = config
    this.#deps = deps
    this.#subjects = new LRUCache({
      max: deps.maxSubjects ?? 16_384,
      dispose: (manager, key, reason) => {
        if (reason !== 'delete') this.#retire(manager, key)
      },
    })
    for (const name of Object.keys(config.credentials)) this.#managers.set(name, this.#create(name, undefined))
  }

  get names(): string[] {
    return Object.keys(this.#config.credentials)
  }

  credential(name: string): CredentialConfig {
    const config = Object.hasOwn(this.#config.credentials, name) ? this.#config.credentials[name] : undefined
    if (config === undefined) throw new UnknownCredential(name)
    return config
  }

  /** The manager of a credential, or of one of its subjects. Throws UnknownCredential. */
  manager(name: string, subject?: string): TokenManager {
    if (subject === undefined) {
      const manager = this.#managers.get(name)
      if (manager === undefined) throw new UnknownCredential(name)
      return manager
    }
    const key = `${name}\0${subject}`
    let manager = this.#subjects.get(key)
    if (manager === undefined) {
      this.credential(name)
      manager = this.#busy.get(key) ?? this.#create(name, subject)
      this.#busy.delete(key)
      this.#subjects.set(key, manager)
    }
    return manager
  }

  /** Every manager in memory. */
  all(): TokenManager[] {
    return [...this.#managers.values(), ...this.#subjects.values(), ...this.#busy.values()]
  }

  /** Loads the grant of every credential, and from then on looks for changes. Rejects with StoreError. */
  async open(): Promise<void> {
    await Promise.all([...this.#managers.values()].map((manager) => manager.open()))
    this.#schedulePoll()
  }

  /** Takes new settings over. Managers of credentials that stay keep their tokens; what a removed one still owed is saved. */
  async reconfigure(config: Pick<Config, 'credentials' | 'store' | 'notify'>): Promise<void> {
    this.#config = config
    for (const [key, manager] of [...this.#managers, ...this.#subjects.entries(), ...this.#busy]) {
      const next = config.credentials[manager.credential]
      if (next !== undefined) manager.reconfigure(next)
      else {
        this.#managers.delete(key)
        this.#subjects.delete(key)
        if (!(await manager.close())) this.#busy.set(key, manager)
      }
    }
    for (const name of this.names) {
      if (this.#managers.has(name)) continue
      const manager = this.#create(name, undefined)
      await manager.open()
      this.#managers.set(name, manager)
    }
  }

  /** Resolves to the names of credentials whose token set could not be saved. */
  async close(): Promise<string[]> {
    this.#closed = true
    this.#cancelPoll?.()
    const managers = this.all()
    const saved = await Promise.all(managers.map((manager) => manager.close()))
    return [...new Set(managers.filter((_, index) => saved[index] === false).map((manager) => manager.credential))]
  }

  /** Looks once for changes that others made to the store. Never rejects. */
  async poll(): Promise<void> {
    const managers = this.all()
    try {
      const versions = await this.#deps.store.versions(managers.map((manager) => manager.id))
      await Promise.all(managers.filter((manager, index) => versions[index] !== manager.version).map((manager) => manager.storeChanged()))
      this.storeError = undefined
    } catch (error) {
      this.storeError = describeError(error)
    }
    for (const [key, manager] of this.#busy) if (manager.idle) this.#retire(manager, key)
  }

  #schedulePoll(): void {
    if (this.#closed) return
    this.#cancelPoll = this.#deps.clock.schedule(pollInterval, () => {
      void this.poll().finally(() => this.#schedulePoll())
    })
  }

  #retire(manager: TokenManager, key: string): void {
    if (manager.idle) {
      this.#busy.delete(key)
      void manager.close()
    } else this.#busy.set(key, manager)
  }

  #create(name: string, subject: string | undefined): TokenManager {
    const { store, clock, random, events } = this.#deps
    return new TokenManager({ credential: name, subject }, this.credential(name), {
      store,
      clock,
      random,
      events,
      lease: this.#config.store.lease,
      refreshTokenWarnings: this.#config.notify.refreshTokenWarnings,
      // The settings of the moment, not those of the manager's birth: a reload may bring another secret.
      request: (grant) => this.endpoint(name).request(grant),
    })
  }

  endpoint(name: string): TokenEndpoint {
    const config = this.credential(name)
    const [, authorizer] = /^credential:(.+)$/.exec(config.clientAuthentication) ?? []
    return new TokenEndpoint(config, this.#deps.clock, authorizer === undefined ? undefined : this.manager(authorizer))
  }
}
