import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Config, CredentialConfig } from '../config/schema.ts'
import { describeError } from '../errors.ts'
import { TokenEndpoint } from '../oauth/token-endpoint.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { UnknownCredential } from './credentials.ts'
import type { TokenEvents } from './token-events.ts'
import { TokenManager } from './token-manager.ts'
import type { TokenSource } from './token-source.ts'

export interface TokenSourcesDeps {
  readonly store: TokenStore
  readonly clock: Clock
  readonly random: () => number
  readonly events: TokenEvents
  /** Token managers of subjects kept in memory; older ones are read from the store again when they are asked for. */
  readonly maxSubjects?: number
}

type TokenConfig = Pick<Config, 'credentials' | 'store' | 'notify'>

/** Milliseconds between two looks for changes that others made to the store. CONTRACT section 4 allows 5 s. */
const pollInterval = 2_000

/** The token managers: one per credential, and one per credential and subject in a bounded LRU. */
export class TokenSources {
  readonly #deps: TokenSourcesDeps
  readonly #managers = new Map<string, TokenManager>()
  readonly #subjects: LRUCache<string, TokenManager>
  /** Out of use while a refresh ran or a save was owed: kept until that is over, so that nothing is lost or done twice. */
  readonly #busy = new Map<string, TokenManager>()
  #config: TokenConfig
  #cancelPoll: (() => void) | undefined
  #closed = false
  /** Why the store could not be looked at the last time; undefined when it could. */
  storeError: string | undefined

  constructor(config: TokenConfig, deps: TokenSourcesDeps) {
    this.#config = config
    this.#deps = deps
    this.#subjects = new LRUCache({
      max: deps.maxSubjects ?? 16_384,
      dispose: (manager, key, reason) => {
        if (reason === 'evict') this.#dropOrKeep(key, manager)
      },
    })
    for (const name of this.names) this.#managers.set(name, this.#create(config, name, undefined))
  }

  get names(): string[] {
    return Object.keys(this.#config.credentials)
  }

  credential(name: string): CredentialConfig {
    return credentialOf(this.#config, name)
  }

  /** The manager of a credential, or of one of its subjects. Throws UnknownCredential. One of a subject is for use at once: it may be evicted. */
  manager(name: string, subject?: string): TokenManager {
    if (subject === undefined) {
      const manager = this.#managers.get(name)
      if (manager === undefined) throw new UnknownCredential(name)
      return manager
    }
    const key = `${name}\0${subject}`
    let manager = this.#subjects.get(key)
    if (manager === undefined) {
      manager = this.#revive(key) ?? this.#create(this.#config, name, subject)
      this.#subjects.set(key, manager)
    }
    return manager
  }

  /** The same, to be kept for as long as a request takes: every call finds the one manager of the moment. */
  source(name: string, subject?: string): TokenSource {
    if (subject === undefined) return this.manager(name)
    const manager = () => this.manager(name, subject)
    return {
      credential: name,
      token: (minLife) => manager().token(minLife),
      renew: (rejected, when) => manager().renew(rejected, when),
      distrust: (renewed) => manager().distrust(renewed),
    }
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

  /**
   * Takes new settings over. Managers of credentials that stay keep their tokens; those of removed ones stay until nothing is owed. Rejects with
   * StoreError, and changes nothing, when the grant of a new credential cannot be read.
   */
  async reconfigure(config: TokenConfig): Promise<void> {
    const added = new Map<string, TokenManager>()
    for (const name of Object.keys(config.credentials)) {
      if (this.#managers.has(name) || this.#busy.has(name)) continue
      const manager = this.#create(config, name, undefined)
      await manager.open()
      added.set(name, manager)
    }
    this.#config = config
    for (const [key, manager] of [...this.#managers, ...this.#subjects.entries(), ...this.#busy]) {
      const next = Object.hasOwn(config.credentials, manager.credential)
        ? config.credentials[manager.credential]
        : undefined
      if (next !== undefined) {
        manager.reconfigure(next)
        // Removed once, and back before its tokens were saved.
        if (manager.id.subject === undefined && this.#busy.delete(key)) this.#managers.set(key, manager)
      } else if (!this.#busy.has(key)) {
        this.#managers.delete(key)
        this.#subjects.delete(key)
        this.#dropOrKeep(key, manager)
      }
    }
    for (const [name, manager] of added) this.#managers.set(name, manager)
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
      const changed = managers.filter((manager, index) => versions[index] !== manager.version)
      const looks = await Promise.allSettled(changed.map((manager) => manager.storeChanged()))
      const failed = looks.find((look) => look.status === 'rejected')
      this.storeError = failed && describeError(failed.reason)
    } catch (error) {
      this.storeError = describeError(error)
    }
    for (const [key, manager] of [...this.#busy]) {
      this.#busy.delete(key)
      this.#dropOrKeep(key, manager)
    }
  }

  endpoint(name: string): TokenEndpoint {
    const config = this.credential(name)
    const [, authorizer] = /^credential:(.+)$/.exec(config.clientAuthentication) ?? []
    return new TokenEndpoint(config, this.#deps.clock, authorizer === undefined ? undefined : this.manager(authorizer))
  }

  #schedulePoll(): void {
    if (this.#closed) return
    this.#cancelPoll = this.#deps.clock.schedule(pollInterval, () => {
      void this.poll().finally(() => this.#schedulePoll())
    })
  }

  #revive(key: string): TokenManager | undefined {
    const manager = this.#busy.get(key)
    this.#busy.delete(key)
    manager?.resume()
    return manager
  }

  #dropOrKeep(key: string, manager: TokenManager): void {
    manager.retire()
    if (manager.idle) void manager.close()
    else this.#busy.set(key, manager)
  }

  #create(config: TokenConfig, name: string, subject: string | undefined): TokenManager {
    const { store, clock, random, events } = this.#deps
    return new TokenManager({ credential: name, subject }, credentialOf(config, name), {
      store,
      clock,
      random,
      events,
      lease: config.store.lease,
      refreshTokenWarnings: config.notify.refreshTokenWarnings,
      // The settings of the moment, not those of the manager's birth: a reload may bring another secret.
      request: (grant) => this.endpoint(name).request(grant),
    })
  }
}

function credentialOf({ credentials }: TokenConfig, name: string): CredentialConfig {
  const config = Object.hasOwn(credentials, name) ? credentials[name] : undefined
  if (config === undefined) throw new UnknownCredential(name)
  return config
}
