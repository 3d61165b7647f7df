import { inspect } from 'node:util'

/** Times are milliseconds since the epoch by our own clock; a provider's Date header is never used. */
export interface TokenFields {
  /** Empty when only a refresh token is known. */
  readonly accessToken: string
  readonly refreshToken: string | undefined
  /** When the answer that brought the access token arrived. */
  readonly issuedAt: number
  /** When the access token dies; undefined when the provider did not say. */
  readonly expiresAt: number | undefined
  /** When the refresh token arrived (a token that was kept keeps its time). */
  readonly refreshIssuedAt: number | undefined
  readonly refreshExpiresAt: number | undefined
  readonly scope: string | undefined
}

/** What one token answer gave, merged with what was kept. Immutable; prints without its secrets. */
export class TokenSet implements TokenFields {
  readonly accessToken: string
  readonly refreshToken: string | undefined
  readonly issuedAt: number
  readonly expiresAt: number | undefined
  readonly refreshIssuedAt: number | undefined
  readonly refreshExpiresAt: number | undefined
  readonly scope: string | undefined

  constructor(fields: TokenFields) {
    this.accessToken = fields.accessToken
    this.refreshToken = fields.refreshToken
    this.issuedAt = fields.issuedAt
    this.expiresAt = fields.expiresAt
    this.refreshIssuedAt = fields.refreshIssuedAt
    this.refreshExpiresAt = fields.refreshExpiresAt
    this.scope = fields.scope
  }

  /** Past its recorded expiry. A token without one never is: the upstream's rejection is the only sign. */
  expired(now: number): boolean {
    return this.expiresAt !== undefined && now >= this.expiresAt
  }

  /** Milliseconds from issue to expiry; undefined when the expiry is unknown. */
  get lifetime(): number | undefined {
    return this.expiresAt === undefined ? undefined : Math.max(0, this.expiresAt - this.issuedAt)
  }

  /** From when on a new token is fetched in advance: `early` before expiry, but never more than 10 % of the token's life. */
  refreshAt(early: number): number {
    if (this.expiresAt === undefined) return Infinity
    return this.expiresAt - Math.min(early, 0.1 * (this.lifetime ?? 0))
  }

  toJSON(): object {
    const { issuedAt, expiresAt, refreshExpiresAt } = this
    return {
      accessToken: '[redacted]',
      refreshToken: this.refreshToken === undefined ? undefined : '[redacted]',
      issuedAt,
      expiresAt,
      refreshExpiresAt,
    }
  }

  [inspect.custom](): string {
    return `TokenSet ${JSON.stringify(this)}`
  }
}

/**
 * RFC 6749 section 6: a refresh answer without a refresh token leaves the old one in force, with the expiry it had.
 * An answer that repeats the same refresh token may bring a new expiry for it; where it brings none, the token's clock starts
 * anew only when the token itself is new.
 */
export function mergeTokens(previous: TokenSet | undefined, next: TokenSet): TokenSet {
  const old = previous?.refreshToken
  if (previous === undefined || old === undefined) return next
  const kept = next.refreshToken === undefined || next.refreshToken === old
  return new TokenSet({
    accessToken: next.accessToken,
    refreshToken: next.refreshToken ?? old,
    issuedAt: next.issuedAt,
    expiresAt: next.expiresAt,
    refreshIssuedAt: kept ? previous.refreshIssuedAt : next.refreshIssuedAt,
    refreshExpiresAt: next.refreshExpiresAt ?? (kept ? previous.refreshExpiresAt : undefined),
    // Section 5.1: an answer without a scope means the same scope as before.
    scope: next.scope ?? previous.scope,
  })
}

/** A set that holds a refresh token alone (a seed, an imported token): its access token is empty and long expired. */
export function refreshTokenOnly(refreshToken: string, now: number, refreshExpiresAt?: number): TokenSet {
  return new TokenSet({
    accessToken: '',
    refreshToken,
    issuedAt: now,
    expiresAt: now,
    refreshIssuedAt: now,
    refreshExpiresAt,
    scope: undefined,
  })
}
