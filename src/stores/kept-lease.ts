import type { Clock } from '../clock.ts'
import type { Lease } from './token-store.ts'

export interface LeaseActions {
  /** Proves that the lease is still ours and prolongs it; false when another has it. Rejects when that can't be told now. */
  renew(): Promise<boolean>
  /** Gives it back when it is still ours. */
  release(): Promise<void>
}

/**
 * Renews a lease that was just taken, every third of its duration, until it is released. `lost` aborts when another has it, or when no
 * renewal succeeded for a whole duration: others may take it over from then on. Only a held lease has timers.
 */
export function keepLease(clock: Clock, duration: number, taken: number, actions: LeaseActions): Lease {
  const lost = new AbortController()
  let renewed = taken
  let ended = false
  let renewal: Promise<void> = Promise.resolve()
  let released: Promise<void> | undefined
  let cancelNext: () => void
  let cancelExpiry: () => void

  const expireAfter = (delay: number) => clock.schedule(delay, () => stop('it could not be renewed in time'))
  const stop = (why: string) => {
    if (ended) return
    end()
    lost.abort(new Error(`The store lease was lost: ${why}.`))
  }
  const end = () => {
    ended = true
    cancelNext()
    cancelExpiry()
  }
  const renew = async () => {
    // Counted from before the call: the other side may have begun its duration that early.
    const began = clock.monotonic()
    const ours = await actions.renew().catch(() => undefined)
    if (ended) return
    if (ours === false) {
      stop('another process took it over')
      return
    }
    if (ours === true) {
      renewed = began
      cancelExpiry()
      cancelExpiry = expireAfter(renewed + duration - clock.monotonic())
    }
    // After a failure sooner: there is one more chance before it expires.
    cancelNext = clock.schedule(duration / (ours === true ? 3 : 9), next)
  }
  const next = () => {
    renewal = renew()
  }

  cancelNext = clock.schedule(duration / 3, next)
  cancelExpiry = expireAfter(taken + duration - clock.monotonic())

  return {
    lost: lost.signal,
    release() {
      released ??= (async () => {
        if (!ended) end()
        // A renewal that is still under way must not bring the lease back after its release.
        await renewal
        await actions.release().catch(() => undefined)
      })()
      return released
    },
  }
}
