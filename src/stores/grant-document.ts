import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Grant } from '../tokens/grant.ts'
import { TokenSet } from '../tokens/token-set.ts'
import { grantName } from './grant-name.ts'
import { StoreError, type GrantId } from './token-store.ts'

/**
 * A grant as the JSON document that every store but memory keeps. Unknown fields are passed over, so that a later release may add
 * some; a field of the wrong type is a damaged document. No message quotes what was read: it may be a token.
 */

export const documentVersion = 1

/** The last moment that ISO 8601 writes with four digits of year. */
const latest = Date.parse('9999-12-31T23:59:59.999Z')

const isoTime = (time: number): string => new Date(Math.min(Math.max(Math.trunc(time) || 0, 0), latest)).toISOString()
const optionalTime = (time: number | undefined) => (time === undefined ? undefined : isoTime(time))

const time = z.iso.datetime().transform((text) => Date.parse(text))
const absent = <T>(value: T | null | undefined): T | undefined => value ?? undefined
const maybeTime = time.nullish().transform(absent)
const maybeText = z.string().nullish().transform(absent)

const reason = z.enum(['startup', 'expiry', 'rejected', 'keep_alive', 'renewal', 'manual'])
const outcome = z.enum(['success', 'transient', 'fatal'])

const documentSchema = z.object({
  credential: z.string(),
  subject: maybeText,
  revision: z.int().positive(),
  tokens: z
    .object({
      accessToken: z.string(),
      refreshToken: maybeText,
      issuedAt: time,
      expiresAt: maybeTime,
      refreshIssuedAt: maybeTime,
      refreshExpiresAt: maybeTime,
      scope: maybeText,
    })
    .nullish()
    .transform(absent),
  attempt: z.object({ at: time, reason, fingerprint: z.string() }).nullish().transform(absent),
  death: z
    .object({ at: time, error: z.string(), message: z.string(), fingerprint: maybeText })
    .nullish()
    .transform(absent),
  usedSeeds: z.array(z.string()).default([]),
  history: z.array(z.object({ at: time, reason, outcome })).default([]),
})

/** What a document holds; `revision` counts its saves from 1. */
export interface GrantDocument {
  readonly id: GrantId
  readonly revision: number
  readonly grant: Grant
}

/** Times go out as ISO 8601 UTC in whole milliseconds, kept within the years 1970 to 9999. */
export function serializeGrant({ id, revision, grant }: GrantDocument): string {
  const { tokens, attempt, death } = grant
  const document = {
    version: documentVersion,
    credential: id.credential,
    subject: id.subject,
    revision,
    // Makes every save another text, and so another version, even when nothing else changed.
    save: randomBytes(6).toString('hex'),
    tokens: tokens && {
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
      issuedAt: isoTime(tokens.issuedAt),
      expiresAt: optionalTime(tokens.expiresAt),
      refreshIssuedAt: optionalTime(tokens.refreshIssuedAt),
      refreshExpiresAt: optionalTime(tokens.refreshExpiresAt),
      scope: tokens.scope,
    },
    attempt: attempt && { at: isoTime(attempt.at), reason: attempt.reason, fingerprint: attempt.fingerprint },
    death: death && { ...death, at: isoTime(death.at) },
    usedSeeds: grant.usedSeeds,
    history: grant.history.map((record) => ({
      at: isoTime(record.at),
      reason: record.reason,
      outcome: record.outcome,
    })),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/**
 * The JSON object of a document of our own version. Rejects what is no such object as `damaged`, what a later release wrote as `newer`.
 * `place` is what the message calls the document.
 */
export function parseVersioned(text: string, place: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The message of JSON.parse quotes its input, so it goes no further.
    throw damaged(place, 'it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw damaged(place, 'it is not a JSON object')
  const { version } = value as Record<string, unknown>
  if (typeof version !== 'number') throw damaged(place, 'it has no version number')
  if (version > documentVersion) {
    throw new StoreError(
      'newer',
      `${place} has format version ${version}, and this bearer-sidecar reads version ${documentVersion}. ` +
        'It was left as it is. Run the newer bearer-sidecar that wrote it.',
    )
  }
  if (version !== documentVersion) throw damaged(place, 'its version is unknown')
  return value as Record<string, unknown>
}

/** `name` is the grant name under which the document was found; one that belongs to another grant is `damaged`. */
export function parseGrant(value: Record<string, unknown>, name: string, place: string): GrantDocument {
  const parsed = documentSchema.safeParse(value)
  if (!parsed.success) {
    const paths = parsed.error.issues.map((issue) => issue.path.join('.') || 'the document')
    throw damaged(place, `wrong or missing: ${[...new Set(paths)].slice(0, 5).join(', ')}`)
  }
  const { credential, subject, revision, tokens, attempt, death, usedSeeds, history } = parsed.data
  const id: GrantId = subject === undefined ? { credential } : { credential, subject }
  if (!belongs(id, name)) throw damaged(place, 'it belongs to another credential or subject')
  const grant: Grant = {
    tokens: tokens && new TokenSet(tokens),
    attempt,
    death: death && { at: death.at, error: death.error, message: death.message, fingerprint: death.fingerprint },
    usedSeeds,
    history,
  }
  return { id, revision, grant }
}

function belongs(id: GrantId, name: string): boolean {
  try {
    return grantName(id) === name
  } catch {
    return false
  }
}

export function damaged(place: string, what: string): StoreError {
  return new StoreError(
    'damaged',
    `${place} is damaged: ${what}. It was left as it is. Restore it from a backup, or move it away and log in again.`,
  )
}
