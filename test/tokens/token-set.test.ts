import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { mergeTokens, refreshTokenOnly, TokenSet, type TokenFields } from '../../src/tokens/token-set.ts'

const issuedAt = Date.parse('2026-01-01T00:00:00Z')

function tokenSet(fields: Partial<TokenFields> = {}): TokenSet {
  return new TokenSet({
    accessToken: 'access-1',
    refreshToken: 'refresh-1',
    issuedAt,
    expiresAt: issuedAt + 3_600_000,
    refreshIssuedAt: issuedAt,
    refreshExpiresAt: undefined,
    scope: undefined,
    ...fields,
  })
}

describe('token set', () => {
  it('is expired from the very millisecond of its expiry', () => {
    const set = tokenSet({ expiresAt: issuedAt + 1000 })
    assert.equal(set.expired(issuedAt + 999), false)
    assert.equal(set.expired(issuedAt + 1000), true)
    assert.equal(set.expired(issuedAt + 1001), true)
  })

  it('never expires by the clock when the provider gave no expiry', () => {
    const set = tokenSet({ expiresAt: undefined })
    assert.equal(set.expired(Number.MAX_SAFE_INTEGER), false)
    assert.equal(set.lifetime, undefined)
    assert.equal(set.refreshAt(300_000), Infinity)
  })

  for (const [life, early, window] of [
    [3_600_000, 300_000, 300_000],
    [3_000_000, 300_000, 300_000],
    [2_999_990, 300_000, 299_999],
    [1_000, 300_000, 100],
    [20_000, 0, 0],
    [0, 300_000, 0],
  ] as const) {
    it(`refreshes a token that lives ${life} ms ${window} ms early when early is ${early} ms`, () => {
      const set = tokenSet({ expiresAt: issuedAt + life })
      assert.equal(set.refreshAt(early), issuedAt + life - window)
    })
  }

  it('counts a life that ended before it began as none', () => {
    assert.equal(tokenSet({ expiresAt: issuedAt - 1 }).lifetime, 0)
  })

  it('prints without its secrets, however it is printed', () => {
    const set = tokenSet({ accessToken: 'secret-access', refreshToken: 'secret-refresh' })
    for (const text of [inspect(set), JSON.stringify({ set }), inspect({ deep: { set } }, { depth: 5 })]) {
      assert.doesNotMatch(text, /secret/)
    }
  })

  it('holds nothing but a refresh token that never was more', () => {
    const set = refreshTokenOnly('refresh-9', issuedAt, issuedAt + 5)
    assert.equal(set.accessToken, '')
    assert.equal(set.expired(issuedAt), true)
    assert.equal(set.refreshExpiresAt, issuedAt + 5)
  })
})

describe('merging a token answer with what was kept', () => {
  const later = issuedAt + 3_500_000
  const next = (fields: Partial<TokenFields>) =>
    tokenSet({
      accessToken: 'access-2',
      issuedAt: later,
      expiresAt: later + 3_600_000,
      refreshIssuedAt: later,
      ...fields,
    })
  const previous = tokenSet({ refreshExpiresAt: issuedAt + 86_400_000, scope: 'read' })

  it('keeps the refresh token and its expiry when none came', () => {
    const merged = mergeTokens(previous, next({ refreshToken: undefined, refreshIssuedAt: undefined }))
    assert.equal(merged.accessToken, 'access-2')
    assert.equal(merged.refreshToken, 'refresh-1')
    assert.equal(merged.refreshIssuedAt, issuedAt)
    assert.equal(merged.refreshExpiresAt, issuedAt + 86_400_000)
    assert.equal(merged.expiresAt, later + 3_600_000)
  })

  it('takes a new expiry for a refresh token that was kept', () => {
    const merged = mergeTokens(previous, next({ refreshToken: undefined, refreshExpiresAt: later + 1 }))
    assert.equal(merged.refreshExpiresAt, later + 1)
    assert.equal(merged.refreshIssuedAt, issuedAt)
  })

  it('does not start the clock of a refresh token anew when the same one is repeated', () => {
    const merged = mergeTokens(previous, next({ refreshToken: 'refresh-1' }))
    assert.equal(merged.refreshIssuedAt, issuedAt)
    assert.equal(merged.refreshExpiresAt, issuedAt + 86_400_000)
  })

  it('takes a new refresh token with its own times', () => {
    const merged = mergeTokens(previous, next({ refreshToken: 'refresh-2' }))
    assert.equal(merged.refreshToken, 'refresh-2')
    assert.equal(merged.refreshIssuedAt, later)
    assert.equal(merged.refreshExpiresAt, undefined, 'the expiry of the old token says nothing of the new one')
  })

  it('keeps the scope when the answer names none (RFC 6749 section 5.1)', () => {
    assert.equal(mergeTokens(previous, next({ refreshToken: 'refresh-2' })).scope, 'read')
    assert.equal(mergeTokens(previous, next({ refreshToken: undefined, scope: 'write' })).scope, 'write')
  })

  it('has nothing to keep at the first answer', () => {
    const first = next({ refreshToken: undefined })
    assert.equal(mergeTokens(undefined, first), first)
    assert.equal(mergeTokens(tokenSet({ refreshToken: undefined }), first), first)
  })
})
