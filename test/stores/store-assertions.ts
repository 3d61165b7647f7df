import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/clock.ts'
import { StoreError, type GrantId, type StoreFault, type TokenStore } from '../../src/stores/token-store.ts'

/** One place where grants are kept, empty at first. */
export interface Backend {
  /** Opens a store over this place: each one stands for a process of its own. */
  open(clock: Clock): Promise<TokenStore>
  /** Milliseconds. */
  readonly lease: number
  /** What a process of its own needs; undefined for memory, which is never shared. */
  readonly documents?: {
    /** The stored text, to be changed behind the store's back. */
    read(id: GrantId): Promise<string>
    write(id: GrantId, text: string): Promise<void>
  }
}

export async function openFor(t: TestContext, backend: Backend, clock: Clock = systemClock): Promise<TokenStore> {
  const store = await backend.open(clock)
  t.after(() => store.close())
  return store
}

export async function rejectsWith(fault: StoreFault, promise: Promise<unknown>): Promise<StoreError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return assertFault(fault, error)
}

export function assertFault(fault: StoreFault, error: unknown): StoreError {
  if (!(error instanceof StoreError))
    throw new assert.AssertionError({ message: `expected a StoreError ${fault}, got ${String(error)}` })
  assert.equal(error.fault, fault, error.message)
  return error
}
