import { createHash } from 'node:crypto'
import type { TokenSet } from './token-set.ts'

export type RefreshReason = 'startup' | 'expiry' | 'rejected' | 'keep_alive' | 'renewal' | 'manual'
export type RefreshOutcome = 'success' | 'transient' | 'fatal'

/** One line of the refresh history that the status page shows. */
export interface RefreshRecord {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly reason: RefreshReason
  readonly outcome: RefreshOutcome
}

/** Written before a one-time refresh token is spent; still there after a crash between the provider's answer and our save. */
export interface Attempt {
  readonly at: number
  readonly reason: RefreshReason
  /** Fingerprint of the refresh token that was about to be sent. */
  readonly fingerprint: string
}

/** The provider said that this grant is over; kept, never deleted, so that a person can read why. */
export interface Death {
  readonly at: number
  /** RFC 6749 section 5.2 error code. */
  readonly error: string
  /** One sentence for people, without a secret. */
  readonly message: string
  /** Fingerprint of the refresh token that was refused: evidence about no other token. */
  readonly fingerprint: string | undefined
}

/** All that is kept of one credential (and subject): one document of the store. */
export interface Grant {
  /** undefined after the grant was forgotten: the document stays, to remember the seeds. */
  readonly tokens: TokenSet | undefined
  readonly attempt: Attempt | undefined
  readonly death: Death | undefined
  /** Fingerprints of config seeds that were used or forgotten; a seed in this list is never used again. */
  readonly usedSeeds: readonly string[]
  /** Newest last, at most `maxHistory`. */
  readonly history: readonly RefreshRecord[]
}

export const maxHistory = 50

export const emptyGrant: Grant = { tokens: undefined, attempt: undefined, death: undefined, usedSeeds: [], history: [] }

/** Names a secret without revealing it. Refresh tokens are long and random, so a plain hash does not give them away. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update('bearer-sidecar\0').update(secret).digest('hex').slice(0, 32)
}
