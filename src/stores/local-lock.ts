import type { Clock } from '../clock.ts'

/** Rejection of an acquire() that waited for all its patience. */
class PatienceExhausted extends Error {
  override readonly name = 'PatienceExhausted'
}

interface Waiter {
  grant(): void
}

/** Mutual exclusion by key inside this process, first come first served. */
export class LocalLock {
  readonly #clock: Clock
  /** A key is present while it is held; the list are those who wait for it. */
  readonly #queues = new Map<string, Waiter[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves with the release, which may be called more than once. Rejects with PatienceExhausted after `patience` milliseconds. */
  acquire(key: string, patience: number): Promise<() => void> {
    const queue = this.#queues.get(key)
    if (queue === undefined) {
      this.#queues.set(key, [])
      return Promise.resolve(this.#release(key))
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          cancel()
          resolve(this.#release(key))
        },
      }
      const cancel = this.#clock.schedule(patience, () => {
        queue.splice(queue.indexOf(waiter), 1)
        reject(new PatienceExhausted('waited for too long'))
      })
      queue.push(waiter)
    })
  }

  #release(key: string): () => void {
    let released = false
    return () => {
      if (released) return
      released = true
      const next = this.#queues.get(key)?.shift()
      if (next === undefined) this.#queues.delete(key)
      else next.grant()
    }
  }
}
