import type { Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { describeError } from '../errors.ts'
import type { TokenOutcome } from '../oauth/token-answer.ts'
import type { TokenGrant } from '../oauth/token-request.ts'
import type { Lease } from '../stores/token-store.ts'
import { fingerprint, maxHistory, type Grant, type RefreshReason } from './grant.ts'
import type { GrantRecord } from './grant-record.ts'
import { shouldRotate } from './schedule.ts'
import { mergeTokens, refreshTokenOnly, TokenSet } from './token-set.ts'

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
  | { readonly kind: 'transient'; readonly what: 'token endpoint' | 'store'; readonly message: string; readonly retryAfter?: number | undefined }

/**
 * One refresh from beginning to end (DESIGN section 4, rule 2): lease, load again, journal, one POST, merge, save, and only then is the
 * result known to anybody. `good` says whether a token set found in the store makes the POST needless.
 */
export async function rotate(context: RotationContext, reason: RefreshReason, good: (set: TokenSet) => boolean): Promise<RotationResult> {
  const { record, config } = context
  const precious = config.grant !== 'client_credentials'
  let lease: Lease | undefined
  try {
    lease = await record.acquire(context.leasePatience)
    await record.load()
  } catch (error) {
    await lease?.release()
    // A client_credentials token can always be asked for again: a store that is down costs nothing but the sharing.
    if (precious) return { kind: 'transient', what: 'store', message: describeError(error) }
    lease = undefined
  }
  try {
    const found = record.grant.tokens
    if (found !== undefined && good(found)) return { kind: 'done', refreshed: false }
    if (!precious) return await requestAnew(context, reason)
    if (!(await record.flush())) return { kind: 'transient', what: 'store', message: 'The last token set could not be saved yet, so no further one is requested.' }
    return await spend(context, reason, good)
  } finally {
    await lease?.release()
  }
}

async function requestAnew(context: RotationContext, reason: RefreshReason): Promise<RotationResult> {
  const { record } = context
  const outcome = await context.request({ type: 'client_credentials' })
  if (outcome.kind === 'refresh-token-only') return { kind: 'transient', what: 'token endpoint', message: outcome.message }
  if (outcome.kind !== 'success') return failure(outcome)
  const grant = succeeded(record.grant, outcome.tokens, reason, context.clock.now())
  await record.save(grant).catch(() => record.adoptUnsaved(grant))
  return { kind: 'done', refreshed: true }
}

/** Spends refresh tokens one after the other: what is stored, what a colleague stored meanwhile, a seed that was never used. */
async function spend(context: RotationContext, reason: RefreshReason, good: (set: TokenSet) => boolean): Promise<RotationResult> {
  const { record, config, clock } = context
  let refused: RotationResult | undefined
  // Bounded: each turn presents another refresh token than the turns before.
  for (let turn = 0; turn < 3; turn++) {
    const grant = withSeed(record.grant, config.refreshToken, clock.now())
    const refreshToken = grant.tokens?.refreshToken
    if (refreshToken === undefined) return refused ?? { kind: 'login-required' }
    const print = fingerprint(refreshToken)
    if (grant.death?.fingerprint === print) return refused ?? dead(grant)

    const previous = grant.attempt?.fingerprint === print ? grant.attempt : undefined
    const attempt = { at: previous?.at ?? clock.now(), reason, fingerprint: print }
    try {
      // The journal: proves that the store can be written before a one-time token is spent, and tells the next process of this try.
      await record.save({ ...grant, attempt })
    } catch (error) {
      return { kind: 'transient', what: 'store', message: describeError(error) }
    }
    const rotateNow = reason === 'renewal' || shouldRotate(grant.tokens, config.refresh.renewBefore, clock.now())
    const outcome = await context.request({ type: 'refresh_token', refreshToken, preserve: config.refresh.preserveRefreshToken && !rotateNow })

    if (outcome.kind === 'success') {
      const next = succeeded(record.grant, outcome.tokens, reason, clock.now())
      await record.save(next).catch((error: unknown) => keep(record, next, refreshToken, error))
      return { kind: 'done', refreshed: true }
    }
    if (outcome.kind === 'refresh-token-only') {
      const next = withRefreshToken(record.grant, outcome.refreshToken, clock.now())
      await record.save(next).catch((error: unknown) => keep(record, next, refreshToken, error))
      return { kind: 'transient', what: 'token endpoint', message: outcome.message }
    }
    if (outcome.kind === 'transient' && !outcome.sent) {
      await record.save({ ...record.grant, attempt: previous }).catch(() => undefined)
    }
    if (outcome.kind !== 'fatal' || outcome.error !== 'invalid_grant') return failure(outcome)

    // invalid_grant is evidence about the very token that was sent, and about no other.
    await record.load().catch(() => undefined)
    const stored = record.grant.tokens
    if (stored?.refreshToken !== undefined && stored.refreshToken !== refreshToken) {
      if (good(stored)) return { kind: 'done', refreshed: false }
      continue
    }
    const message = explainRefusal(outcome.message, previous?.at)
    const next = { ...record.grant, attempt: undefined, death: { at: clock.now(), error: outcome.error, message, fingerprint: print } }
    await record.save(next).catch((error: unknown) => keep(record, next, refreshToken, error))
    refused = { kind: 'fatal', error: outcome.error, message }
  }
  return refused ?? { kind: 'transient', what: 'token endpoint', message: 'The stored refresh token changed again and again.' }
}

/**
 * The save after an exchange failed. Where somebody else stored another refresh token meanwhile (a login), theirs stays; otherwise ours is
 * the only copy: it is served from memory and saved as soon as the store takes it.
 */
async function keep(record: GrantRecord, next: Grant, spent: string, cause: unknown): Promise<void> {
  const changed = await record.load().catch(() => false)
  const stored = record.grant.tokens?.refreshToken
  if (changed && stored !== undefined && stored !== spent) return
  record.hold(next, cause)
  await record.flush()
}

function succeeded(grant: Grant, tokens: TokenSet, reason: RefreshReason, now: number): Grant {
  const history = [...grant.history, { at: now, reason, outcome: 'success' as const }].slice(-maxHistory)
  return { ...grant, tokens: mergeTokens(grant.tokens, tokens), attempt: undefined, death: undefined, history }
}

/** The access token that still lives is kept beside the new refresh token. */
function withRefreshToken(grant: Grant, refreshToken: string, now: number): Grant {
  const tokens = new TokenSet({ ...fieldsOf(grant.tokens ?? refreshTokenOnly(refreshToken, now)), refreshToken, refreshIssuedAt: now, refreshExpiresAt: undefined })
  return { ...grant, tokens, attempt: undefined }
}

const fieldsOf = ({ accessToken, issuedAt, expiresAt, scope }: TokenSet) => ({ accessToken, issuedAt, expiresAt, scope })

/** The config's seed is taken when the store holds nothing or a dead grant, and never twice. */
function withSeed(grant: Grant, seed: string | null, now: number): Grant {
  if (seed === null) return grant
  const current = grant.tokens?.refreshToken
  const alive = current !== undefined && grant.death?.fingerprint !== fingerprint(current)
  const print = fingerprint(seed)
  if (alive || grant.usedSeeds.includes(print)) return grant
  const held = grant.tokens
  const tokens =
    held === undefined || held.accessToken === ''
      ? refreshTokenOnly(seed, now)
      : new TokenSet({ ...fieldsOf(held), refreshToken: seed, refreshIssuedAt: now, refreshExpiresAt: undefined })
  return { ...grant, tokens, death: undefined, attempt: undefined, usedSeeds: [...grant.usedSeeds, print] }
}

function explainRefusal(message: string, lostAt: number | undefined): string {
  if (lostAt === undefined) return `The provider refused the refresh token (${message}).`
  const time = new Date(lostAt).toISOString()
  return `The provider refused the refresh token (${message}). The refresh sent at ${time} ended without an answer that was saved: if the provider replaced the token then, the replacement is lost.`
}

function dead(grant: Grant): RotationResult {
  return { kind: 'fatal', error: grant.death?.error ?? 'invalid_grant', message: grant.death?.message ?? 'The provider refused the refresh token.' }
}

function failure(outcome: Exclude<TokenOutcome, { kind: 'success' | 'refresh-token-only' }>): RotationResult {
  switch (outcome.kind) {
    case 'fatal':
      return { kind: 'fatal', error: outcome.error, message: `The provider refused the request (${outcome.message}).` }
    case 'transient':
      return { kind: 'transient', what: 'token endpoint', message: outcome.message, retryAfter: outcome.retryAfter }
    case 'authorizer-rejected':
      return { kind: 'transient', what: 'token endpoint', message: 'The token endpoint refused the authorising credential.' }
  }
}
