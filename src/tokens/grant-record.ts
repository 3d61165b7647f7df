import type { Clock } from '../clock.ts'
import { describeError } from '../errors.ts'
import { StoreError, type GrantId, type Lease, type TokenStore, type Version } from '../stores/token-store.ts'
import { emptyGrant, type Grant } from './grant.ts'

/** Waits between tries to save what could not be saved, in milliseconds. */
const firstFlushDelay = 500
const longestFlushDelay = 15_000

/**
 * One grant as this process knows it, and its document in the store. What could not be saved after an exchange is held here,
 * and saved again and again until it is.
 */
export class GrantRecord {
  readonly id: GrantId
  readonly #store: TokenStore
  readonly #clock: Clock
  readonly #onSavedState: (unsaved: boolean, message: string | undefined) => void
  #grant: Grant = emptyGrant
  #version: Version | undefined
  #loaded = false
  #unsaved = false
  #flushFailures = 0
  #flushing: Promise<boolean> | undefined
  #cancelFlush: (() => void) | undefined

  constructor(id: GrantId, store: TokenStore, clock: Clock, onSavedState: (unsaved: boolean, message: string | undefined) => void) {
    this.id = id
    this.#store = store
    this.#clock = clock
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

  /** Takes over what the store holds. Returns whether it differs from what was known. Rejects with StoreError. */
  async load(): Promise<boolean> {
    const stored = await this.#store.load(this.id)
    if (this.#unsaved) return false
    const first = !this.#loaded
    this.#loaded = true
    if (stored === undefined) {
      // A document that vanished is no logout: what is in memory may be the only copy, so it is written again.
      if (this.#version !== undefined && this.#grant.tokens !== undefined) {
        this.#version = undefined
        this.hold(this.#grant)
      }
      return first
    }
    if (stored.version === this.#version) return false
    this.#version = stored.version
    this.#grant = stored.grant
    return true
  }

  /** Saves, and only then makes it the known grant. Rejects with StoreError and changes nothing when it could not be saved. */
  async save(grant: Grant): Promise<void> {
    this.#version = await this.#store.save(this.id, grant, this.#version)
    this.#grant = grant
    this.#loaded = true
    if (this.#unsaved) this.#setUnsaved(false, undefined)
  }

  /** Keeps a grant that the store did not take, and goes on trying to save it. */
  hold(grant: Grant, cause?: unknown): void {
    this.#grant = grant
    this.#loaded = true
    this.#setUnsaved(true, describeError(cause))
    this.#scheduleFlush()
  }

  /** Keeps a grant in memory alone: for one that can be had again at no cost. */
  adoptUnsaved(grant: Grant): void {
    this.#grant = grant
    this.#loaded = true
  }

  /** Tries to save what is held. Resolves to whether nothing is left unsaved; never rejects. */
  flush(): Promise<boolean> {
    if (!this.#unsaved) return Promise.resolve(true)
    this.#flushing ??= this.#flushOnce().finally(() => (this.#flushing = undefined))
    return this.#flushing
  }

  acquire(patience: number): Promise<Lease> {
    return this.#store.acquire(this.id, patience)
  }

  /** Removes the document. Rejects with StoreError. */
  async remove(): Promise<void> {
    await this.#store.delete(this.id)
    this.#version = undefined
    this.#grant = emptyGrant
  }

  /** Stops the timer; what is held stays held. */
  close(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
  }

  async #flushOnce(): Promise<boolean> {
    const held = this.#grant
    try {
      await this.#saveOver(held)
      this.#flushFailures = 0
      return true
    } catch (error) {
      this.#flushFailures++
      this.#setUnsaved(true, describeError(error))
      this.#scheduleFlush()
      return false
    }
  }

  /**
   * On a conflict the document was written by somebody else since: a newer token set (a login, a rotation elsewhere) wins over ours,
   * anything else is overwritten.
   */
  async #saveOver(held: Grant): Promise<void> {
    try {
      await this.save(held)
    } catch (error) {
      if (!(error instanceof StoreError) || error.fault !== 'conflict') throw error
      const stored = await this.#store.load(this.id)
      const newer = stored?.grant.tokens !== undefined && stored.grant.tokens.issuedAt > (held.tokens?.issuedAt ?? 0)
      this.#version = stored?.version
      if (newer) {
        this.#grant = stored.grant
        this.#setUnsaved(false, undefined)
        return
      }
      await this.save(held)
    }
  }

  #scheduleFlush(): void {
    if (this.#cancelFlush !== undefined) return
    const delay = Math.min(firstFlushDelay * 2 ** this.#flushFailures, longestFlushDelay)
    this.#cancelFlush = this.#clock.schedule(delay, () => {
      this.#cancelFlush = undefined
      void this.flush()
    })
  }

  #setUnsaved(unsaved: boolean, message: string | undefined): void {
    const before = this.#unsaved
    this.#unsaved = unsaved
    if (!unsaved) this.close()
    if (before !== unsaved) this.#onSavedState(unsaved, message)
  }
}
