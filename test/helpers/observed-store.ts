import {
  StoreError,
  type GrantId,
  type Lease,
  type Stored,
  type TokenStore,
  type Version,
} from '../../src/stores/token-store.ts'
import type { Grant } from '../../src/tokens/grant.ts'

type Operation = 'load' | 'save' | 'acquire' | 'versions' | 'ping'

/** A store in front of another one: tells what is asked of it, and fails to order. */
export class ObservedStore implements TokenStore {
  readonly description = 'observed'
  readonly inner: TokenStore
  /** Operations that fail until they are taken out again. */
  readonly broken = new Set<Operation>()
  /** Called before the inner store is asked; may wait or throw. */
  before: (operation: Operation, grant?: Grant) => void | Promise<void> = () => undefined
  readonly saves: Grant[] = []

  constructor(inner: TokenStore) {
    this.inner = inner
  }

  async load(id: GrantId): Promise<Stored | undefined> {
    await this.#begin('load')
    return this.inner.load(id)
  }

  async save(id: GrantId, grant: Grant, expected: Version | undefined): Promise<Version> {
    await this.#begin('save', grant)
    const version = await this.inner.save(id, grant, expected)
    this.saves.push(grant)
    return version
  }

  delete(id: GrantId): Promise<void> {
    return this.inner.delete(id)
  }

  list(): Promise<GrantId[]> {
    return this.inner.list()
  }

  async versions(ids: readonly GrantId[]): Promise<(Version | undefined)[]> {
    await this.#begin('versions')
    return this.inner.versions(ids)
  }

  async acquire(id: GrantId, patience: number): Promise<Lease> {
    await this.#begin('acquire')
    return this.inner.acquire(id, patience)
  }

  async ping(): Promise<void> {
    await this.#begin('ping')
    return this.inner.ping()
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  async #begin(operation: Operation, grant?: Grant): Promise<void> {
    await this.before(operation, grant)
    if (this.broken.has(operation)) throw new StoreError('unavailable', `the test broke ${operation}`)
  }
}
