import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  backoff,
  nextDue,
  nextWarningAt,
  shouldRotate,
  warningThreshold,
  type SchedulePolicy,
} from '../../src/tokens/schedule.ts'
import { TokenSet, type TokenFields } from '../../src/tokens/token-set.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
/** Every time below is counted from here. */
const start = Date.parse('2026-01-01T00:00:00Z')

/** Times relative to `start`. */
function tokenSet(fields: Partial<TokenFields> = {}): TokenSet {
  const at = (time: number | undefined) => (time === undefined ? undefined : start + time)
  return new TokenSet({
    accessToken: fields.accessToken ?? 'access-1',
    refreshToken: 'refreshToken' in fields ? fields.refreshToken : 'refresh-1',
    issuedAt: start + (fields.issuedAt ?? 0),
    expiresAt: 'expiresAt' in fields ? at(fields.expiresAt) : start + hour,
    refreshIssuedAt: at(fields.refreshIssuedAt ?? 0),
    refreshExpiresAt: at(fields.refreshExpiresAt),
    scope: undefined,
  })
}

const policy = (fields: Partial<SchedulePolicy> = {}): SchedulePolicy => ({
  early: 5 * minute,
  keepAlive: null,
  renewBefore: 60 * day,
  ...fields,
})

function due(set: TokenSet, fields: Partial<SchedulePolicy> = {}, spread = 0): [number, string] | undefined {
  const found = nextDue(set, policy(fields), spread)
  return found && [found.at - start, found.reason]
}

describe('when a token is refreshed by the timer', () => {
  it('before its expiry, by at most a tenth of its life', () => {
    assert.deepEqual(due(tokenSet()), [55 * minute, 'expiry'])
    assert.deepEqual(due(tokenSet({ expiresAt: 10 * minute })), [9 * minute, 'expiry'])
    assert.deepEqual(due(tokenSet({ expiresAt: 1000 })), [900, 'expiry'])
  })

  it('never without an expiry, and not early when the token was not used', () => {
    assert.equal(due(tokenSet({ expiresAt: undefined })), undefined)
    assert.equal(due(tokenSet(), { early: null }), undefined)
    assert.equal(due(tokenSet({ accessToken: '' })), undefined)
  })

  it('by keepAlive when that comes first, a little sooner for some than for others', () => {
    const idle = { early: null, keepAlive: day }
    assert.deepEqual(due(tokenSet(), idle), [day, 'keep_alive'])
    assert.deepEqual(due(tokenSet(), idle, 1), [0.9 * day, 'keep_alive'])
    assert.deepEqual(due(tokenSet(), { keepAlive: 30 * minute }), [30 * minute, 'keep_alive'])
    assert.deepEqual(due(tokenSet(), { keepAlive: day }), [55 * minute, 'expiry'])
  })

  it('has nothing to keep alive or to renew without a refresh token', () => {
    const set = tokenSet({ refreshToken: undefined, refreshExpiresAt: day })
    assert.equal(due(set, { early: null, keepAlive: hour }), undefined)
  })

  for (const [what, life, renewBefore, at] of [
    ['renewBefore its end', 365 * day, 60 * day, 305 * day],
    ['half-way when it lives shorter than renewBefore', 30 * day, 60 * day, 15 * day],
    ['half-way when it lives less than twice renewBefore', 100 * day, 60 * day, 50 * day],
    ['half-way when it lives for an hour', hour, 60 * day, 30 * minute],
  ] as const) {
    it(`renews a refresh token ${what}`, () => {
      assert.deepEqual(due(tokenSet({ refreshExpiresAt: life }), { early: null, renewBefore }), [at, 'renewal'])
    })
  }

  it('asks a provider that gives no new end once a day, not without pause', () => {
    const set = tokenSet({ refreshExpiresAt: 365 * day, issuedAt: 310 * day })
    assert.deepEqual(due(set, { early: null }), [311 * day, 'renewal'])
  })

  for (const refreshExpiresAt of [-1, -100 * day, 0]) {
    it(`does not hurry over a refresh token whose end was ${-refreshExpiresAt} ms before it came`, () => {
      assert.deepEqual(due(tokenSet({ refreshExpiresAt }), { early: null }), [day, 'renewal'])
    })
  }

  it('is never due again at once after a refresh that changed nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -400 * day, max: 400 * day }),
        fc.integer({ min: 0, max: 400 * day }),
        fc.integer({ min: 0, max: 100 * day }),
        (refreshExpiresAt, issuedAt, renewBefore) => {
          const set = tokenSet({ refreshExpiresAt, issuedAt })
          const found = nextDue(set, policy({ early: null, renewBefore }), 0)
          const pause = (found?.at ?? 0) - set.issuedAt
          assert.ok(pause >= Math.min(day, Math.max(refreshExpiresAt, 1) / 2), `due ${pause} ms after the last refresh`)
        },
      ),
    )
  })
})

describe('whether an ordinary refresh rotates', () => {
  for (const [life, renewBefore, at, expected] of [
    [365 * day, 60 * day, 305 * day, false],
    [365 * day, 60 * day, 305 * day + 1, true],
    [30 * day, 60 * day, 0, true],
    [30 * day, 0, 29 * day, false],
    [undefined, 60 * day, 400 * day, false],
  ] as const) {
    const left = life === undefined ? 'an unknown time' : `${(life - at) / day} days`
    it(`${expected ? 'yes' : 'no'} with ${left} left of ${(life ?? 0) / day} days`, () => {
      assert.equal(shouldRotate(tokenSet({ refreshExpiresAt: life }), renewBefore, start + at), expected)
    })
  }
})

describe('warnings before the end of a refresh token', () => {
  const thresholds = [30 * day, 14 * day, 7 * day, day]
  for (const [left, threshold, next] of [
    [31 * day, undefined, 30 * day],
    [30 * day, 30 * day, 14 * day],
    [10 * day, 14 * day, 7 * day],
    [1, day, undefined],
    [-day, day, undefined],
  ] as const) {
    it(`${left / day} days before the end the smallest threshold passed is ${(threshold ?? 0) / day} days`, () => {
      assert.equal(warningThreshold(start + left, thresholds, start), threshold)
      const at = nextWarningAt(start + left, thresholds, start)
      assert.equal(at, next === undefined ? undefined : start + left - next)
    })
  }

  it('are none without a known end', () => {
    assert.equal(warningThreshold(undefined, thresholds, start), undefined)
    assert.equal(nextWarningAt(undefined, thresholds, start), undefined)
  })
})

describe('the wait between tries', () => {
  for (const [failures, shortest, longest] of [
    [1, 500, 1000],
    [2, 1000, 2000],
    [3, 2000, 4000],
    [6, 16_000, 32_000],
    [7, 30_000, 60_000],
    [100_000, 30_000, 60_000],
  ] as const) {
    it(`is ${shortest} to ${longest} ms after ${failures} failures`, () => {
      assert.equal(backoff(failures, undefined, 0), shortest)
      assert.equal(backoff(failures, undefined, 1), longest)
    })
  }

  it('is never shorter than Retry-After, and not shortened by it', () => {
    assert.equal(backoff(1, 30_000, 0.5), 30_000)
    assert.equal(backoff(7, 1000, 1), 60_000)
    assert.equal(backoff(1, 0, 0), 500)
  })
})
