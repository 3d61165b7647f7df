import type { Version } from './token-store.ts'

/** How many writes are remembered for one grant. */
const most = 16

/**
 * Writes of ours whose outcome is unknown: the answer was lost, or the last fsync failed after the rename. When such a write turns out to
 * have arrived, the next save from the same starting point is no conflict.
 */
export class UnconfirmedWrites {
  readonly #writes = new Map<string, { readonly from: Version | undefined; readonly to: readonly Version[] }>()

  /** Not for a write that is still under way: another save of this process must not take it for its own. */
  note(name: string, from: Version | undefined, to: Version): void {
    this.#writes.set(name, { from, to: [...this.alternatives(name, from), to].slice(-most) })
  }

  /** The outcome is known. */
  settle(name: string): void {
    this.#writes.delete(name)
  }

  has(name: string): boolean {
    return this.#writes.has(name)
  }

  /** The versions that a save expecting `expected` may find as well. */
  alternatives(name: string, expected: Version | undefined): readonly Version[] {
    const write = this.#writes.get(name)
    return write !== undefined && write.from === expected ? write.to : []
  }
}
