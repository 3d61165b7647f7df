/** Lets pieces of work through one at a time, in the order of their coming. */
export class Turnstile {
  #last: Promise<unknown> = Promise.resolve()
  #inside = 0

  /** True while work runs or waits. */
  get busy(): boolean {
    return this.#inside > 0
  }

  enter<T>(work: () => Promise<T>): Promise<T> {
    this.#inside++
    const turn = this.#last.then(work).finally(() => this.#inside--)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Resolves when all that has come so far is through; never rejects. */
  async drained(): Promise<void> {
    await this.#last
  }
}
