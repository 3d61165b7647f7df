import type { RefreshOutcome, RefreshReason, RefreshRecord } from './grant.ts'

export type CredentialState = 'login_required' | 'active' | 'degraded' | 'reauthorization_required'

/** What may be shown of a credential. Times are ISO 8601 UTC or null. CONTRACT section 4; the fields after lastError are additions. */
export interface CredentialStatus {
  readonly name: string
  readonly subject?: string
  readonly provider: string
  readonly state: CredentialState
  readonly accessTokenExpiresAt: string | null
  readonly refreshTokenExpiresAt: string | null
  readonly lastRefresh: { readonly at: string; readonly reason: RefreshReason; readonly outcome: RefreshOutcome } | null
  /** True while a token set is held in memory that could not be saved. */
  readonly unsaved: boolean
  /** One sentence without a secret, or null. */
  readonly lastError: string | null
  /** What a person can do about lastError, or null. */
  readonly nextStep: string | null
  readonly accessTokenIssuedAt: string | null
  /** Do not try again before this time; null when no back-off is running. */
  readonly retryAt: string | null
  /** True when a token request could be made without a person (a refresh token, or client_credentials). */
  readonly refreshable: boolean
  /** True when a request could be served now or after one refresh that is not known to fail. */
  readonly usable: boolean
  readonly history: readonly RefreshRecord[]
}

export interface LoginAttempt {
  /** The authorization request to open in a browser. */
  readonly url: string
  readonly state: string
}

/** Why a login did not end in tokens; `message` is fixed text plus the RFC 6749 error code, safe for a page. */
export class LoginError extends Error {
  override readonly name = 'LoginError'
}

/**
 * What the admin port and the CLI may do with credentials. Every method rejects with ProxyError, StoreError, LoginError or, for a name that
 * is not configured, UnknownCredential. Without `subject` a credential that has a subjectHeader is meant as a whole (status only).
 */
export interface Credentials {
  /** Every configured credential, and the subjects in memory. */
  list(): CredentialStatus[]
  /** Loads the grant first when it is not in memory. */
  status(name: string, subject?: string): Promise<CredentialStatus>
  /** A usable access token, as a caller's request would get it. */
  accessToken(name: string, subject?: string): Promise<string>
  /** Refreshes now, past any back-off. Rejects when no usable token came. */
  refresh(name: string, subject?: string): Promise<CredentialStatus>
  /** Takes a token response in the provider's own field names, or a bare refresh token. In effect at once, saved before it resolves. */
  adopt(
    name: string,
    subject: string | undefined,
    document: string | Readonly<Record<string, unknown>>,
  ): Promise<CredentialStatus>
  /** Removes the tokens; the config's seed does not come back. */
  forget(name: string, subject?: string): Promise<void>
  /** The stored grant as a token response document that adopt() takes in any store. */
  export(name: string, subject?: string): Promise<Record<string, unknown>>
  /** Starts an authorization code login; the attempt is kept for ten minutes. */
  beginLogin(name: string, subject?: string): Promise<LoginAttempt>
  /** Ends the login whose one-shot `state` the callback carries: checks state and iss, exchanges the code, adopts the tokens. */
  finishLogin(callback: URLSearchParams): Promise<{ readonly name: string; readonly subject?: string }>
}

export class UnknownCredential extends Error {
  override readonly name = 'UnknownCredential'
}
