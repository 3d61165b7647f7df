import { createHash } from 'node:crypto'
import type { GrantId } from './token-store.ts'

/** What a grant is called in a store: file name, Redis key and Secret key are made of it. A subject is named by its hash alone. */

const credentialName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/
const grantNamePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}(?:\.[0-9a-f]{32})?$/

/** The first 128 bits of SHA-256 of the subject, in hex: subjects may hold any character and may be personal. */
export function subjectHash(subject: string): string {
  return createHash('sha256').update(subject).digest('hex').slice(0, 32)
}

/** `<credential>` or `<credential>.<hash of the subject>`. The config allows no other names; this keeps a path inside its folder. */
export function grantName(id: GrantId): string {
  if (!credentialName.test(id.credential)) throw new TypeError('a credential name is 1 to 63 letters, digits, - or _')
  return id.subject === undefined ? id.credential : `${id.credential}.${subjectHash(id.subject)}`
}

export function isGrantName(name: string): boolean {
  return grantNamePattern.test(name)
}
