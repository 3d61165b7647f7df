import type { CredentialConfig } from '../config/schema.ts'
import type { GrantId } from '../stores/token-store.ts'
import { fingerprint, type Grant } from './grant.ts'
import { refreshTokenOnly, TokenSet } from './token-set.ts'

/** The config's refreshToken. It is one grant, so it is nobody's when there is one grant per subject. */
export function seedOf(config: CredentialConfig, id: GrantId): string | null {
  return id.subject === undefined ? config.refreshToken : null
}

/** The seed when it may be taken: never a second time, and never one that the provider has refused. */
export function unusedSeed(grant: Grant, seed: string | null): string | undefined {
  if (seed === null) return undefined
  const print = fingerprint(seed)
  return grant.usedSeeds.includes(print) || grant.death?.fingerprint === print ? undefined : seed
}

/** Notes that a seed was used, by whatever way it came in. */
export function withSeedUsed(grant: Grant, seed: string | null | undefined): Grant {
  if (seed === null || seed === undefined) return grant
  return { ...grant, usedSeeds: [...new Set([...grant.usedSeeds, fingerprint(seed)])] }
}

/** Whether the grant holds a refresh token that was not refused. */
export function alive({ tokens, death }: Grant): boolean {
  return tokens?.refreshToken !== undefined && death?.fingerprint !== fingerprint(tokens.refreshToken)
}

/** The seed in place of nothing, or of a refresh token that is dead; an access token that still lives stays. */
export function withSeed(grant: Grant, seed: string | null, now: number): Grant {
  const fresh = alive(grant) ? undefined : unusedSeed(grant, seed)
  if (fresh === undefined) return grant
  const { tokens } = grant
  const next =
    tokens === undefined || tokens.accessToken === ''
      ? refreshTokenOnly(fresh, now)
      : replaceRefreshToken(tokens, fresh, now)
  return { ...withSeedUsed(grant, fresh), tokens: next, death: undefined, attempt: undefined }
}

/** The same access token beside another refresh token, whose life is not known. */
export function replaceRefreshToken(tokens: TokenSet, refreshToken: string, now: number): TokenSet {
  const { accessToken, issuedAt, expiresAt, scope } = tokens
  return new TokenSet({
    accessToken,
    refreshToken,
    issuedAt,
    expiresAt,
    refreshIssuedAt: now,
    refreshExpiresAt: undefined,
    scope,
  })
}
