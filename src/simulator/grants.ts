import type { Mint } from './mint.ts'
import { opaque } from './mint.ts'

export type Rotation = 'rotate' | 'long-lived'

export interface GrantRules {
  /** Life of an access token in milliseconds. */
  accessTokenTtl: number
  /** Life of a refresh token in milliseconds. */
  refreshTokenTtl: number
  rotation: Rotation
  /** How long, in milliseconds, a consumed refresh token may still be presented; 0 for not at all. */
  graceWindow: number
  /** An answer to a refresh that did not rotate leaves `refresh_token` out instead of repeating it. */
  preserveOmitsRefreshToken: boolean
  /** A refresh ends the access tokens issued before it. */
  refreshRevokesAccessTokens: boolean
}

export interface GrantDetails {
  clientId: string
  scope: string
  /** What a token of this grant may be used for; Maya asks for two kinds in one request. */
  kind?: 'user' | 'client' | 'customer'
  withRefreshToken?: boolean
  /** A refresh token of the caller's choice instead of a new one. */
  refreshToken?: string
}

/** What one token call issues, before a provider gives it its own field names. */
export interface IssuedTokens {
  /** Only a fault leaves it out. */
  accessToken?: string
  /** Milliseconds since 1970. */
  issuedAt: number
  expiresAt: number
  /** Seconds; `unknown` because a fault may put anything here, undefined leaves it out. */
  expiresIn: unknown
  refreshToken?: string | null
  /** Seconds. */
  refreshExpiresIn?: number
  tokenType?: string
  scope: string
}

interface Grant extends Required<Omit<GrantDetails, 'refreshToken'>> {
  id: string
  refreshDead: boolean
  accessDead: boolean
}

interface AccessToken {
  grant: Grant
  expiresAt: number
}

interface RefreshToken {
  grant: Grant
  expiresAt: number
  consumedAt: number | undefined
}

export type RefreshFailure = 'unknown' | 'expired' | 'revoked' | 'reused'

/**
 * Every grant that was ever given: issue, rotation, and reuse detection as RFC 9700 section 4.14.2 wants it (a consumed
 * refresh token that comes back means that two parties hold it, so the whole family ends).
 */
export class Grants {
  /** How often a consumed refresh token was presented after its grace window. */
  reuseEvents = 0
  readonly #rules: GrantRules
  readonly #mint: Mint
  readonly #now: () => number
  readonly #access = new Map<string, AccessToken>()
  readonly #refresh = new Map<string, RefreshToken>()

  constructor(rules: GrantRules, mint: Mint, now: () => number) {
    this.#rules = rules
    this.#mint = mint
    this.#now = now
  }

  /** A new grant, as if a person had just consented (or a client had authenticated). */
  open({ clientId, scope, kind = 'user', withRefreshToken = true, refreshToken }: GrantDetails): {
    id: string
    issued: IssuedTokens
  } {
    const grant: Grant = {
      id: opaque(12),
      clientId,
      scope,
      kind,
      withRefreshToken,
      refreshDead: false,
      accessDead: false,
    }
    const issued = this.#issueAccess(grant)
    if (withRefreshToken) this.#addRefresh(grant, issued, refreshToken)
    return { id: grant.id, issued }
  }

  /**
   * The exchange of RFC 6749 section 6. `preserve` and `spare` leave the presented token in force; `spare` is for
   * faults that damage the answer and must not cost a grant.
   */
  refresh(
    value: string,
    { clientId, preserve = false, spare = false }: { clientId: string; preserve?: boolean; spare?: boolean },
  ): IssuedTokens | RefreshFailure {
    const token = this.#refresh.get(value)
    const now = this.#now()
    if (token?.grant.clientId !== clientId) return 'unknown'
    if (token.grant.refreshDead) {
      if (token.consumedAt !== undefined) this.reuseEvents++
      return 'revoked'
    }
    if (token.consumedAt !== undefined && now - token.consumedAt >= this.#rules.graceWindow) {
      this.reuseEvents++
      token.grant.refreshDead = true
      token.grant.accessDead = true
      return 'reused'
    }
    if (token.expiresAt <= now) return 'expired'
    if (this.#rules.refreshRevokesAccessTokens) this.#dropAccess((access) => access.grant === token.grant)
    const issued = this.#issueAccess(token.grant)
    if (this.#rules.rotation === 'rotate' && !preserve && !spare) {
      token.consumedAt ??= now
      this.#addRefresh(token.grant, issued)
      return issued
    }
    // A long-lived token dies of idleness, so using it begins its time again; a preserved one keeps its date.
    if (this.#rules.rotation === 'long-lived') token.expiresAt = now + this.#rules.refreshTokenTtl
    if (this.#rules.preserveOmitsRefreshToken) return issued
    return { ...issued, refreshToken: value, refreshExpiresIn: Math.floor((token.expiresAt - now) / 1_000) }
  }

  /** The kind and scope of a live access token; undefined for any other. */
  access(value: string | undefined): { kind: Grant['kind']; scope: string; expiresAt: number } | undefined {
    const token = value === undefined ? undefined : this.#access.get(value)
    if (token === undefined || token.grant.accessDead || token.expiresAt <= this.#now()) return undefined
    return { kind: token.grant.kind, scope: token.grant.scope, expiresAt: token.expiresAt }
  }

  /** Every access token stops working; refresh tokens live on. */
  revokeAccessTokens(kind?: GrantDetails['kind']): void {
    this.#dropAccess((token) => kind === undefined || token.grant.kind === kind)
  }

  /** Every refresh token stops working, as after an administrator's disconnect; access tokens live until they expire. */
  revokeGrants(): void {
    for (const token of this.#refresh.values()) token.grant.refreshDead = true
  }

  expireRefreshTokens(): void {
    for (const token of this.#refresh.values()) token.expiresAt = this.#now()
  }

  /** Ends one grant with everything issued under it. */
  end(id: string): void {
    for (const { grant } of [...this.#refresh.values(), ...this.#access.values()]) {
      if (grant.id === id) grant.refreshDead = grant.accessDead = true
    }
  }

  #issueAccess(grant: Grant): IssuedTokens {
    const now = this.#now()
    if (this.#access.size >= 20_000) this.#dropAccess((token) => token.expiresAt <= now)
    const expiresAt = now + this.#rules.accessTokenTtl
    const accessToken = this.#mint.accessToken({ sub: grant.id, kind: grant.kind, exp: Math.floor(expiresAt / 1_000) })
    this.#access.set(accessToken, { grant, expiresAt })
    const expiresIn = Math.floor(this.#rules.accessTokenTtl / 1_000)
    return { accessToken, issuedAt: now, expiresAt, expiresIn, tokenType: 'Bearer', scope: grant.scope }
  }

  #addRefresh(grant: Grant, issued: IssuedTokens, chosen?: string): void {
    const expiresAt = this.#now() + this.#rules.refreshTokenTtl
    issued.refreshToken = chosen ?? this.#mint.refreshToken({ sub: grant.id, exp: Math.floor(expiresAt / 1_000) })
    issued.refreshExpiresIn = Math.floor(this.#rules.refreshTokenTtl / 1_000)
    this.#refresh.set(issued.refreshToken, { grant, expiresAt, consumedAt: undefined })
  }

  #dropAccess(matches: (token: AccessToken) => boolean): void {
    for (const [value, token] of this.#access) if (matches(token)) this.#access.delete(value)
  }
}
