import type { Clock } from '../clock.ts'
import type { Grant } from '../tokens/grant.ts'
import { grantName } from './grant-name.ts'
import { LocalLock } from './local-lock.ts'
import { conflict, leaseTimeout } from './store-errors.ts'
import type { GrantId, Lease, Stored, TokenStore, Version } from './token-store.ts'

interface Entry extends Stored {
  readonly id: GrantId
}

/** Keeps grants for the life of the process: for tests, the demo, and credentials that can be had again without a person. */
export class MemoryStore implements TokenStore {
  readonly description = 'memory (tokens are gone when the process ends)'
  readonly #entries = new Map<string, Entry>()
  readonly #leases: LocalLock
  readonly #clock: Clock
  #saves = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#leases = new LocalLock(clock)
  }

  load(id: GrantId): Promise<Stored | undefined> {
    const entry = this.#entries.get(grantName(id))
    return Promise.resolve(entry && { grant: entry.grant, version: entry.version })
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- async turns the throw into a rejection
  async save(id: GrantId, grant: Grant, expected: Version | undefined): Promise<Version> {
    const name = grantName(id)
    if (this.#entries.get(name)?.version !== expected) throw conflict(`memory ${name}`)
    const version = String(++this.#saves)
    this.#entries.set(name, { id, grant, version })
    return version
  }

  delete(id: GrantId): Promise<void> {
    this.#entries.delete(grantName(id))
    return Promise.resolve()
  }

  list(): Promise<GrantId[]> {
    return Promise.resolve([...this.#entries.values()].map((entry) => entry.id))
  }

  versions(ids: readonly GrantId[]): Promise<(Version | undefined)[]> {
    return Promise.resolve(ids.map((id) => this.#entries.get(grantName(id))?.version))
  }

  async acquire(id: GrantId, patience: number): Promise<Lease> {
    const name = grantName(id)
    const began = this.#clock.monotonic()
    const release = await this.#leases.acquire(name, patience).catch((cause: unknown) => {
      throw leaseTimeout(`memory ${name}`, this.#clock.monotonic() - began, cause)
    })
    // Nobody can take it over: its holder can't die without this store.
    return {
      lost: new AbortController().signal,
      release: () => {
        release()
        return Promise.resolve()
      },
    }
  }

  ping(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
