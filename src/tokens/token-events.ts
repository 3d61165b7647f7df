import type { GrantId } from '../stores/token-store.ts'
import type { CredentialStatus } from './credentials.ts'
import type { RefreshOutcome, RefreshReason } from './grant.ts'

export interface RefreshEvent {
  readonly id: GrantId
  readonly reason: RefreshReason
  readonly outcome: RefreshOutcome
  /** Milliseconds from asking for the lease to the durable save. */
  readonly duration: number
  /** Why it failed: for the log, may hold addresses but no secret. */
  readonly message: string | undefined
}

/** What token managers tell the rest of the program; app.ts wires it to metrics, log and webhook. */
export interface TokenEvents {
  refreshed(event: RefreshEvent): void
  /** `from` is undefined for the first state after the grant was loaded. */
  stateChanged(id: GrantId, from: CredentialStatus['state'] | undefined, status: CredentialStatus): void
  savedChanged(id: GrantId, unsaved: boolean, message: string | undefined): void
  /** A warning threshold of notify.refreshTokenWarnings was passed. */
  refreshTokenExpiring(id: GrantId, expiresAt: number): void
}
