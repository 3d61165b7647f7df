import { emptyGrant, type Grant } from '../../src/tokens/grant.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'

/** A grant with every field set to something that no default equals. */
export function fullGrant(mark = 'a'): Grant {
  return {
    tokens: new TokenSet({
      accessToken: `access-${mark}`,
      refreshToken: `refresh-${mark}`,
      issuedAt: Date.parse('2026-03-01T10:00:00.123Z'),
      expiresAt: Date.parse('2026-03-01T11:00:00.456Z'),
      refreshIssuedAt: Date.parse('2026-02-01T10:00:00.789Z'),
      refreshExpiresAt: Date.parse('2027-02-01T10:00:00.001Z'),
      scope: 'read write',
    }),
    attempt: { at: Date.parse('2026-03-01T10:59:00.002Z'), reason: 'keep_alive', fingerprint: 'a'.repeat(32) },
    death: {
      at: Date.parse('2026-03-01T11:00:00.003Z'),
      error: 'invalid_grant',
      message: 'The provider no longer accepts the grant.',
      fingerprint: 'b'.repeat(32),
    },
    usedSeeds: ['c'.repeat(32), 'd'.repeat(32)],
    history: [
      { at: Date.parse('2026-02-28T10:00:00.004Z'), reason: 'startup', outcome: 'success' },
      { at: Date.parse('2026-02-28T11:00:00.005Z'), reason: 'rejected', outcome: 'fatal' },
    ],
  }
}

/** A grant that can be told by its access token. */
export function markedGrant(accessToken: string): Grant {
  const tokens = { accessToken, refreshToken: `${accessToken}-refresh`, issuedAt: 1_000, expiresAt: undefined }
  return {
    ...emptyGrant,
    tokens: new TokenSet({ ...tokens, refreshIssuedAt: undefined, refreshExpiresAt: undefined, scope: undefined }),
  }
}
