import type { TokenSet } from './token-set.ts'

/** When a rejected token may be renewed: always, or only past its recorded expiry, else once per token. */
export type RenewWhen = 'always' | 'expired-or-once'

/** What became of an answer that rejected a token. rejected_again: the replay's token was rejected too. The last three: no replay was sent. */
export type ReplayOutcome = 'success' | 'rejected_again' | 'not_replayable' | 'refresh_failed' | 'cooldown'

/** What the forwarder knows of a credential: where tokens come from, and where to say that one was rejected. */
export interface TokenSource {
  /** The credential's name, for headers, logs and metrics. */
  readonly credential: string
  /**
   * A token that lives at least `minLife` milliseconds if one can be had (default 0). Returns it at once, not as a promise,
   * whenever the current one will do. Rejects with a ProxyError (`login_required`, `reauthorization_required`,
   * `token_endpoint_unavailable`, `store_unavailable`) when no usable token can be had.
   */
  token(minLife?: number): TokenSet | Promise<TokenSet>
  /**
   * The upstream rejected this very token: gives another one. Many calls with the same token make one refresh.
   * Rejects with RenewalDeclined when the answer should pass through unchanged.
   */
  renew(rejected: TokenSet, when: RenewWhen): TokenSet | Promise<TokenSet>
  /** The upstream rejected a token that renew() had just given: starts the cool-down. */
  distrust(renewed: TokenSet): void
}

/**
 * Why renew() gave no token: `cooldown` (a fresh token was rejected a moment ago), `refresh-failed`, or
 * `not-expired` (the answer does not speak about the token, see RenewWhen).
 */
export class RenewalDeclined extends Error {
  override readonly name = 'RenewalDeclined'
  readonly why: 'cooldown' | 'refresh-failed' | 'not-expired'

  constructor(why: RenewalDeclined['why'], cause?: unknown) {
    super(`renewal declined: ${why}`, { cause })
    this.why = why
  }
}
