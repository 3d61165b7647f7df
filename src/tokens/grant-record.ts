import type { Clock } from '../clock.ts'
import { describeError } from '../errors.ts'
import {
  StoreError,
  type GrantId,
  type Lease,
  type Stored,
  type TokenStore,
  type Version,
} from '../stores/token-store.ts'
import { FlushTimer } from './flush-timer.ts'
import { emptyGrant, type Grant } from './grant.ts'
import type { TokenSet } from './token-set.ts'
import { Turnstile } from './turnstile.ts'

/**
 * One grant as this process knows it, and its document in the store. What could not be saved after an exchange is held here,
 * and saved again and again until it is.
 */
export class GrantRecord {
  readonly id: GrantId
  readonly #store: TokenStore
  readonly #onSavedState: (unsaved: boolean, message: string | undefined) => void
  readonly #writes = new Turnstile()
  readonly #timer: FlushTimer
  #grant: Grant = emptyGrant
  #version: Version | undefined
  #loaded = false
  #unsaved = false
  #unsavedReason: string | undefined
  /** Counts what was learnt, so that a load that began before is not taken for newer. */
  #changes = 0
  #flushing: Promise<boolean> | undefined
  /** Outlives its refresh while that left something unsaved. */
  #lease: Lease | undefined
  #closed = false

  constructor(
    id: GrantId,
    store: TokenStore,
    clock: Clock,
    onSavedState: (unsaved: boolean, message: string | undefined) => void,
  ) {
    this.id = id
    this.#store = store
    this.#timer = new FlushTimer(clock, () => void this.flush())
    this.#onSavedState = onSavedState
  }

  get grant(): Grant {
    return this.#grant
  }

  get version(): Version | undefined {
    return this.#version
  }

  get loaded(): boolean {
    return this.#loaded
  }

  /** True while a grant is held that the store doesn't have. */
  get unsaved(): boolean {
    return this.#unsaved
  }

  /** What the last try to save met; undefined when nothing is unsaved. */
  get unsavedReason(): string | undefined {
    return this.#unsavedReason
  }

  /** Takes over what the store holds. Returns whether it differs from what was known. Rejects with StoreError. */
  async load(): Promise<boolean> {
    for (;;) {
      const before = this.#changes
      const stored = await this.#store.load(this.id)
      if (before === this.#changes) return this.#takeOver(stored)
    }
  }

  /** Saves, and only then makes it the known grant. Rejects with StoreError and changes nothing when it could not be saved. */
  save(grant: Grant): Promise<void> {
    return this.#writes.enter(() => this.#write(grant))
  }

  /**
   * Saves what a person decided, whatever the store holds by now: the change is made to that, or to what is held unsaved. Rejects with
   * StoreError and changes nothing when it could not be saved.
   */
  replace(change: (grant: Grant) => Grant): Promise<void> {
    return this.#writes.enter(async () => {
      for (let turn = 1; ; turn++) {
        const stored = await this.#store.load(this.id)
        const known = stored === undefined || this.#unsaved ? this.#grant : stored.grant
        this.#learn(stored?.version, known)
        try {
          await this.#write(change(known))
          return
        } catch (error) {
          if (!isConflict(error) || turn === 3) throw error
        }
      }
    })
  }

  /** Keeps a grant that the store did not take, and goes on trying to save it. */
  hold(grant: Grant, cause?: unknown): void {
    this.#learn(this.#version, grant)
    this.#loaded = true
    this.#setUnsaved(true, describeError(cause))
    this.#scheduleFlush()
  }

  /** Keeps a grant in memory alone: for one that can be had again at no cost. */
  keepInMemory(grant: Grant): void {
    this.#learn(this.#version, grant)
    this.#loaded = true
  }

  /** Tries to save what is held. Resolves to whether nothing is left unsaved; never rejects. */
  flush(): Promise<boolean> {
    if (!this.#unsaved) return Promise.resolve(true)
    this.#flushing ??= this.#writes.enter(() => this.#flushOnce()).finally(() => (this.#flushing = undefined))
    return this.#flushing
  }

  async acquire(patience: number): Promise<Lease> {
    const kept = this.#lease
    this.#lease = undefined
    if (kept !== undefined && !kept.lost.aborted) return kept
    await kept?.release()
    return this.#store.acquire(this.id, patience)
  }

  /** Gives the lease back; while something is unsaved not before it is saved, or others would present the refresh token that was spent for it. */
  async release(lease: Lease): Promise<void> {
    if (this.#unsaved && !this.#closed) this.#lease = lease
    else await lease.release()
  }

  /** No timer runs from here on; what is held stays held. */
  close(): void {
    this.#closed = true
    this.#timer.stop()
    this.#releaseKept()
  }

  /** Back in use after close(). */
  reopen(): void {
    this.#closed = false
    if (this.#unsaved) this.#scheduleFlush()
  }

  #takeOver(stored: Stored | undefined): boolean {
    const first = !this.#loaded
    this.#loaded = true
    if (this.#unsaved) return false
    if (stored === undefined) {
      const known = this.#version !== undefined
      this.#version = undefined
      // A document that vanished is no logout (that leaves an empty one): what is in memory may be the only copy, so it is written again.
      if (known && this.#grant.tokens?.refreshToken !== undefined)
        this.hold(this.#grant, 'its document is gone from the store')
      return first
    }
    if (stored.version === this.#version) return false
    this.#learn(stored.version, stored.grant)
    return true
  }

  async #write(grant: Grant): Promise<void> {
    const before = this.#grant
    const version = await this.#store.save(this.id, grant, this.#version)
    // What hold() brought meanwhile is newer, and its turn comes.
    const current = this.#grant === before
    this.#learn(version, current ? grant : this.#grant)
    this.#loaded = true
    if (current && this.#unsaved) this.#setUnsaved(false, undefined)
  }

  #learn(version: Version | undefined, grant: Grant): void {
    this.#changes++
    this.#version = version
    this.#grant = grant
  }

  async #flushOnce(): Promise<boolean> {
    if (!this.#unsaved) return true
    try {
      await this.#writeOver(this.#grant)
    } catch (error) {
      this.#setUnsaved(true, describeError(error))
      this.#scheduleFlush()
    }
    return !this.#unsaved
  }

  /** On a conflict the document was written by somebody else since: what is newer there stays, anything else is overwritten. */
  async #writeOver(held: Grant): Promise<void> {
    try {
      await this.#write(held)
    } catch (error) {
      if (!isConflict(error)) throw error
      const stored = await this.#store.load(this.id)
      if (this.#grant !== held) return
      if (stored !== undefined && supersedes(stored.grant, held)) {
        this.#learn(stored.version, stored.grant)
        this.#setUnsaved(false, undefined)
        return
      }
      this.#learn(stored?.version, {
        ...held,
        usedSeeds: [...new Set([...(stored?.grant.usedSeeds ?? []), ...held.usedSeeds])],
      })
      await this.#write(this.#grant)
    }
  }

  #scheduleFlush(): void {
    if (!this.#closed) this.#timer.start()
  }

  #releaseKept(): void {
    void this.#lease?.release()
    this.#lease = undefined
  }

  #setUnsaved(unsaved: boolean, message: string | undefined): void {
    const before = this.#unsaved
    this.#unsaved = unsaved
    this.#unsavedReason = message
    if (!unsaved) {
      this.#timer.stop()
      this.#releaseKept()
    }
    if (before !== unsaved) this.#onSavedState(unsaved, message)
  }
}

export const isConflict = (error: unknown) => error instanceof StoreError && error.fault === 'conflict'

/** A later login or rotation, or a grant that a person had forgotten. */
function supersedes(stored: Grant, held: Grant): boolean {
  return stored.tokens === undefined || changedAt(stored.tokens) > changedAt(held.tokens)
}

const changedAt = (tokens: TokenSet | undefined) => Math.max(tokens?.issuedAt ?? 0, tokens?.refreshIssuedAt ?? 0)
