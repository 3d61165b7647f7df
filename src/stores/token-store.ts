import type { Grant } from '../tokens/grant.ts'

/** Which grant: a credential of the config, and for a credential with a subjectHeader the subject. */
export interface GrantId {
  readonly credential: string
  readonly subject?: string | undefined
}

/** An opaque value that changes with every save; compared for equality only. */
export type Version = string

export interface Stored {
  readonly grant: Grant
  readonly version: Version
}

/**
 * Where grants are kept. Every save is durable when its promise resolves. One interface for file, memory, redis and
 * kubernetes; test/stores/contract.ts is the suite that all of them pass.
 */
export interface TokenStore {
  /** One line for people: what and where, without a secret ("file /var/lib/tokens, sealed"). */
  readonly description: string
  /** Rejects with StoreError `damaged`, `wrong-key`, `newer`, `unavailable`. */
  load(id: GrantId): Promise<Stored | undefined>
  /**
   * Saves when the stored version still is `expected` (undefined = nothing stored), else rejects with StoreError `conflict`
   * and leaves what is stored as it is.
   */
  save(id: GrantId, grant: Grant, expected: Version | undefined): Promise<Version>
  /** Removes the document. No error when there is none. */
  delete(id: GrantId): Promise<void>
  /** Everything stored, in no order. */
  list(): Promise<GrantId[]>
  /** The current versions, in the order asked for: cheap, called every few seconds for every grant in memory. */
  versions(ids: readonly GrantId[]): Promise<(Version | undefined)[]>
  /**
   * Waits for the exclusive right to refresh this grant. The lease renews itself while held and is taken over by others
   * when its holder died. Rejects with StoreError `lease-timeout` after `patience` milliseconds, `unavailable` when the store is.
   */
  acquire(id: GrantId, patience: number): Promise<Lease>
  /** Resolves when the store can be read and written; rejects with StoreError. */
  ping(): Promise<void>
  close(): Promise<void>
}

export interface Lease {
  /** Aborted when the lease could not be renewed or was taken over. */
  readonly lost: AbortSignal
  /** Gives it back; never rejects, and twice is the same as once. */
  release(): Promise<void>
}

export type StoreFault = 'unavailable' | 'conflict' | 'damaged' | 'wrong-key' | 'newer' | 'lease-timeout' | 'read-only'

/** `message` names the place (file, key, Secret) and the next step, never a secret. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly fault: StoreFault

  constructor(fault: StoreFault, message: string, cause?: unknown) {
    super(message, { cause })
    this.fault = fault
  }
}

/** Where a store tells what it did by itself: a stale lease broken, a loose file mode tightened, a connection lost and back. */
export type StoreLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void
