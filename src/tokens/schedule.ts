import type { RefreshReason } from './grant.ts'
import type { TokenSet } from './token-set.ts'

export interface SchedulePolicy {
  /** null = no early refresh: the token was not used. */
  readonly early: number | null
  readonly keepAlive: number | null
  readonly renewBefore: number
}

export interface Due {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly reason: RefreshReason
}

const day = 86_400_000

/**
 * When the timer should next refresh this set, traffic or not: the early refresh (which the manager carries out only when the token was
 * used), the keep-alive and the deliberate renewal. `spread` (0 to 1) keeps replicas and credentials from asking all at once. Pure.
 */
export function nextDue(set: TokenSet, policy: SchedulePolicy, spread: number): Due | undefined {
  const candidates: Due[] = []
  if (policy.early !== null && set.expiresAt !== undefined && set.accessToken !== '') {
    candidates.push({ at: set.refreshAt(policy.early), reason: 'expiry' })
  }
  if (set.refreshToken !== undefined) {
    if (policy.keepAlive !== null) {
      candidates.push({ at: set.issuedAt + policy.keepAlive * (1 - 0.1 * spread), reason: 'keep_alive' })
    }
    const renewal = renewalAt(set, policy.renewBefore)
    if (renewal !== undefined) candidates.push({ at: renewal, reason: 'renewal' })
  }
  return candidates.reduce<Due | undefined>(
    (first, due) => (first === undefined || due.at < first.at ? due : first),
    undefined,
  )
}

/** Whole life of the refresh token, milliseconds; undefined when its end is not known. */
function refreshLife(set: TokenSet): number | undefined {
  const { refreshExpiresAt, refreshIssuedAt, issuedAt } = set
  return refreshExpiresAt === undefined ? undefined : Math.max(0, refreshExpiresAt - (refreshIssuedAt ?? issuedAt))
}

/** From when on the refresh token should be rotated even without traffic: `renewBefore` its end, or half-way through its life when that is later. */
function renewFrom(set: TokenSet, renewBefore: number): number {
  return (set.refreshExpiresAt ?? Infinity) - Math.min(renewBefore, (refreshLife(set) ?? 0) / 2)
}

/**
 * When the timer renews without traffic. A provider that gives no new end is asked once a day (or per half life), not without pause; so is
 * one whose refresh token should long be dead.
 */
function renewalAt(set: TokenSet, renewBefore: number): number | undefined {
  const life = refreshLife(set)
  if (life === undefined) return undefined
  return Math.max(renewFrom(set, renewBefore), set.issuedAt + (life === 0 ? day : Math.min(day, life / 2)))
}

/**
 * Whether an ordinary refresh should rotate although the provider could preserve the refresh token. Not capped at half of its life as the
 * timer is: a token that was imported near its end looks like one of a short life, and this refresh is made anyway.
 */
export function shouldRotate(set: TokenSet | undefined, renewBefore: number, now: number): boolean {
  return set?.refreshExpiresAt !== undefined && set.refreshExpiresAt - now < renewBefore
}

/** The smallest of `thresholds` (milliseconds) that the time left has fallen below. */
export function warningThreshold(
  refreshExpiresAt: number | undefined,
  thresholds: readonly number[],
  now: number,
): number | undefined {
  if (refreshExpiresAt === undefined) return undefined
  const passed = thresholds.filter((threshold) => refreshExpiresAt - now <= threshold)
  return passed.length > 0 ? Math.min(...passed) : undefined
}

/** When the next threshold will be passed. */
export function nextWarningAt(
  refreshExpiresAt: number | undefined,
  thresholds: readonly number[],
  now: number,
): number | undefined {
  if (refreshExpiresAt === undefined) return undefined
  const ahead = thresholds.map((threshold) => refreshExpiresAt - threshold).filter((at) => at > now)
  return ahead.length > 0 ? Math.min(...ahead) : undefined
}

const firstBackoff = 1_000
const longestBackoff = 60_000

/** Milliseconds to wait after the n-th failure in a row: doubling with jitter, never shorter than the provider's Retry-After. */
export function backoff(failures: number, retryAfter: number | undefined, random: number): number {
  const doubling = Math.min(firstBackoff * 2 ** Math.min(failures - 1, 10), longestBackoff)
  return Math.max(doubling * (0.5 + random / 2), retryAfter ?? 0)
}
