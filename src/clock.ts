/** Time as an argument: production passes systemClock, tests a clock that they advance by hand. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01T00:00:00Z. */
  now(): number
  /** A clock that never jumps, milliseconds since an arbitrary start. */
  monotonic(): number
  /** Calls back once after at least `delay` milliseconds; a delay over 2^31-1 ms is cut to that. Returns the cancellation. */
  schedule(delay: number, callback: () => void): () => void
}

/** The longest delay a Node timer takes; a longer one would fire after 1 ms. */
export const maxTimerDelay = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delay, callback) {
    // Node cuts fractions off, and would call back a moment early.
    const timer = setTimeout(callback, Math.min(Math.max(Math.ceil(delay), 0), maxTimerDelay))
    return () => clearTimeout(timer)
  },
}

export function sleep(clock: Clock, delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = () => {
      cancel()
      reject(signal?.reason as Error)
    }
    const cancel = clock.schedule(delay, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
