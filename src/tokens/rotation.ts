import type { Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { describeError, type ProxyError } from '../errors.ts'
import type { TokenOutcome } from '../oauth/token-answer.ts'
import type { TokenGrant } from '../oauth/token-request.ts'
import type { Lease } from '../stores/token-store.ts'
import { fingerprint, maxHistory, type Grant, type RefreshReason } from './grant.ts'
import { isConflict, type GrantRecord } from './grant-record.ts'
import { shouldRotate } from './schedule.ts'
import { replaceRefreshToken, seedOf, withSeed } from './seed.ts'
import { mergeTokens, refreshTokenOnly, type TokenSet } from './token-set.ts'

export interface RotationContext {
  readonly record: GrantRecord
  readonly config: CredentialConfig
  readonly clock: Clock
  /** Longest wait for the lease, milliseconds: a crashed holder's lease has run out by then. */
  readonly leasePatience: number
  request(grant: TokenGrant): Promise<TokenOutcome>
}

export type RotationResult =
  /** The record holds a token set that will do: refreshed by us, or found in the store. */
  | { readonly kind: 'done'; readonly refreshed: boolean }
  | { readonly kind: 'login-required' }
  | { readonly kind: 'fatal'; readonly error: string; readonly message: string }
  | {
      readonly kind: 'transient'
      readonly what: 'token endpoint' | 'store'
      readonly message: string
      readonly retryAfter?: number | undefined
      readonly blockedBy?: ProxyError | undefined
    }

/** Whether a token set found in the store makes the request needless. */
type Good = (set: TokenSet) => boolean

/** A token that can be had again is not worth a longer wait (ms) for others that may be asking for it. */
const shortLeasePatience = 2_000

/**
 * One refresh from beginning to end (DESIGN section 4, rule 2): lease, load again, journal, one POST, merge, save, and only then is the
 * result known to anybody.
 */
export async function rotate(context: RotationContext, reason: RefreshReason, good: Good): Promise<RotationResult> {
  const { record, config } = context
  const precious = config.grant !== 'client_credentials'
  let lease: Lease | undefined
  try {
    lease = await record.acquire(precious ? context.leasePatience : Math.min(shortLeasePatience, context.leasePatience))
    await record.load()
  } catch (error) {
    // A client_credentials token can always be asked for again: a store that is down costs nothing but the sharing.
    if (precious) {
      if (lease !== undefined) await record.release(lease)
      return storeFault(error)
    }
  }
  try {
    // What is still held in memory alone comes first: nothing further is spent before it is saved.
    const saved = !precious || (await record.flush())
    const found = record.grant.tokens
    if (found !== undefined && good(found)) return { kind: 'done', refreshed: false }
    if (!saved)
      return {
        kind: 'transient',
        what: 'store',
        message: 'The last token set could not be saved yet, so no further one is requested.',
      }
    return lease !== undefined && precious
      ? await spend(context, lease, reason, good)
      : await requestAnew(context, reason)
  } finally {
    if (lease !== undefined) await record.release(lease)
  }
}

async function requestAnew(context: RotationContext, reason: RefreshReason): Promise<RotationResult> {
  const { record } = context
  const outcome = await context.request({ type: 'client_credentials' })
  if (outcome.kind === 'refresh-token-only')
    return { kind: 'transient', what: 'token endpoint', message: outcome.message }
  if (outcome.kind !== 'success') return failure(outcome)
  const grant = succeeded(record.grant, outcome.tokens, reason, context.clock.now())
  await record.save(grant).catch(() => record.keepInMemory(grant))
  return { kind: 'done', refreshed: true }
}

/** Spends refresh tokens one after the other: what is stored, what a colleague stored meanwhile, a seed that was never used. */
async function spend(
  context: RotationContext,
  lease: Lease,
  reason: RefreshReason,
  good: Good,
): Promise<RotationResult> {
  const { record, config, clock } = context
  let refused: RotationResult | undefined
  // Bounded: each turn follows a change of what is stored.
  for (let turn = 0; turn < 4; turn++) {
    const found = record.grant.tokens
    if (turn > 0 && found !== undefined && good(found)) return { kind: 'done', refreshed: false }
    const grant = withSeed(record.grant, seedOf(config, record.id), clock.now())
    const refreshToken = grant.tokens?.refreshToken
    if (refreshToken === undefined) return refused ?? { kind: 'login-required' }
    const print = fingerprint(refreshToken)
    if (grant.death?.fingerprint === print) return refused ?? dead(grant)

    const previous = grant.attempt?.fingerprint === print ? grant.attempt : undefined
    try {
      // The journal: proves that the store can be written before a one-time token is spent, and tells the next process of this try.
      await record.save({ ...grant, attempt: { at: previous?.at ?? clock.now(), reason, fingerprint: print } })
    } catch (error) {
      if (!isConflict(error)) return storeFault(error)
      const fault = await reload(record)
      if (fault !== undefined) return fault
      continue
    }
    // Whoever has the lease now may be spending the same token.
    if (lease.lost.aborted) return storeFault(lease.lost.reason)
    const rotateNow = reason === 'renewal' || shouldRotate(grant.tokens, config.refresh.renewBefore, clock.now())
    const preserve = config.refresh.preserveRefreshToken && !rotateNow
    const outcome = await context.request({ type: 'refresh_token', refreshToken, preserve })

    if (outcome.kind === 'success') {
      await saveSpent(record, succeeded(record.grant, outcome.tokens, reason, clock.now()), refreshToken)
      return { kind: 'done', refreshed: true }
    }
    if (outcome.kind === 'refresh-token-only') {
      await saveSpent(record, withRefreshToken(record.grant, outcome.refreshToken, clock.now()), refreshToken)
      return { kind: 'transient', what: 'token endpoint', message: outcome.message }
    }
    if (outcome.kind !== 'fatal' || outcome.error !== 'invalid_grant') {
      // Surely not spent: the attempt did not happen.
      const unspent = outcome.kind !== 'transient' || !outcome.sent
      if (unspent) await record.save({ ...record.grant, attempt: previous }).catch(() => undefined)
      return failure(outcome)
    }

    // invalid_grant is evidence about the very token that was sent, and about no other.
    const fault = await reload(record)
    if (fault !== undefined) return fault
    if (record.grant.tokens?.refreshToken !== refreshToken) continue
    const message = explainRefusal(outcome.message, previous?.at)
    const death = { at: clock.now(), error: outcome.error, message, fingerprint: print }
    await saveSpent(record, { ...record.grant, attempt: undefined, death }, refreshToken)
    refused = { kind: 'fatal', error: outcome.error, message }
  }
  return refused ?? { kind: 'transient', what: 'store', message: 'What is stored changed again and again.' }
}

async function reload(record: GrantRecord): Promise<RotationResult | undefined> {
  try {
    await record.load()
    return undefined
  } catch (error) {
    return storeFault(error)
  }
}

/**
 * Saves what an exchange gave. Where that fails because somebody else stored another refresh token meanwhile (a login) or had the grant
 * forgotten, theirs stays; otherwise ours is the only copy: it is served from memory and saved as soon as the store takes it.
 */
async function saveSpent(record: GrantRecord, next: Grant, spent: string): Promise<void> {
  try {
    await record.save(next)
  } catch (cause) {
    const changed = await record.load().catch(() => false)
    if (changed && record.grant.tokens?.refreshToken !== spent) return
    record.hold(next, cause)
    await record.flush()
  }
}

function succeeded(grant: Grant, tokens: TokenSet, reason: RefreshReason, now: number): Grant {
  const history = [...grant.history, { at: now, reason, outcome: 'success' as const }].slice(-maxHistory)
  return { ...grant, tokens: mergeTokens(grant.tokens, tokens), attempt: undefined, death: undefined, history }
}

function withRefreshToken(grant: Grant, refreshToken: string, now: number): Grant {
  const tokens =
    grant.tokens === undefined
      ? refreshTokenOnly(refreshToken, now)
      : replaceRefreshToken(grant.tokens, refreshToken, now)
  return { ...grant, tokens, attempt: undefined }
}

function explainRefusal(message: string, lostAt: number | undefined): string {
  if (lostAt === undefined) return `The provider refused the refresh token (${message}).`
  const time = new Date(lostAt).toISOString()
  return `The provider refused the refresh token (${message}). The refresh sent at ${time} ended without an answer that was saved: if the provider replaced the token then, the replacement is lost.`
}

const storeFault = (error: unknown): RotationResult => ({
  kind: 'transient',
  what: 'store',
  message: describeError(error),
})

function dead({ death }: Grant): RotationResult {
  return {
    kind: 'fatal',
    error: death?.error ?? 'invalid_grant',
    message: death?.message ?? 'The provider refused the refresh token.',
  }
}

function failure(outcome: Exclude<TokenOutcome, { kind: 'success' | 'refresh-token-only' }>): RotationResult {
  switch (outcome.kind) {
    case 'fatal':
      return { kind: 'fatal', error: outcome.error, message: `The provider refused the request (${outcome.message}).` }
    case 'transient': {
      const { message, retryAfter, blockedBy } = outcome
      return { kind: 'transient', what: 'token endpoint', message, retryAfter, blockedBy }
    }
    case 'authorizer-rejected':
      return {
        kind: 'transient',
        what: 'token endpoint',
        message: 'The token endpoint refused the authorising credential.',
      }
  }
}
