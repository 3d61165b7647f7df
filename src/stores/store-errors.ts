import { StoreError } from './token-store.ts'

/** The faults that every store reports in the same words. */

export function conflict(place: string, cause?: unknown): StoreError {
  return new StoreError('conflict', `${place} was changed by another process since it was read; load it again.`, cause)
}

/** `waited` in milliseconds. */
export function leaseTimeout(place: string, waited: number, cause?: unknown): StoreError {
  return new StoreError(
    'lease-timeout',
    `The lease of ${place} was still held by another refresh after ${Math.round(waited)} ms. It is taken over by itself when its holder died.`,
    cause,
  )
}
