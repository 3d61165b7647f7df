import { createHash } from 'node:crypto'
import {
  damaged,
  documentVersion,
  parseGrant,
  parseVersioned,
  serializeGrant,
  type GrantDocument,
} from './grant-document.ts'
import { grantName } from './grant-name.ts'
import { Seal, SealError } from './sealed.ts'
import { StoreError, type Version } from './token-store.ts'

/** Turns grants into the text that a store keeps and back: plain JSON, or sealed once a key is set. */
export interface DocumentCodec {
  readonly sealed: boolean
  encode(document: GrantDocument): Promise<string>
  /** `name` is the grant name under which the text was found, `place` what messages call it. Rejects with StoreError. */
  decode(text: string, name: string, place: string): Promise<GrantDocument>
}

/**
 * The version of a stored text: its revision and its hash. To be had without opening a sealed text, and blind to saves of other grants
 * that share a Secret with it.
 */
export function textVersion(text: string): Version {
  return `${outerRevision(text)}.${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`
}

/** The revision of the next save over a text of this version. */
export function nextRevision(expected: Version | undefined): number {
  const revision = Number.parseInt(expected ?? '0', 10)
  return Number.isSafeInteger(revision) && revision >= 0 ? revision + 1 : 1
}

function outerRevision(text: string): number {
  try {
    const { revision } = JSON.parse(text) as { revision?: unknown }
    return Number.isSafeInteger(revision) ? (revision as number) : 0
  } catch {
    return 0
  }
}

export function documentCodec(encryptionKey: string | null, previousKeys: readonly string[]): DocumentCodec {
  // A key that was taken away on purpose still opens what it sealed; the next save is plain.
  const [first, ...more] = encryptionKey === null ? previousKeys : [encryptionKey, ...previousKeys]
  const seal = first === undefined ? undefined : new Seal([first, ...more])
  const sealing = encryptionKey === null ? undefined : seal

  return {
    sealed: sealing !== undefined,
    async encode(document) {
      const text = serializeGrant(document)
      if (sealing === undefined) return text
      const { revision } = document
      const sealed = await sealing.seal(text, context(grantName(document.id), revision))
      return `${JSON.stringify({ version: documentVersion, revision, sealed })}\n`
    },
    async decode(text, name, place) {
      const outer = parseVersioned(text, place)
      if (!('sealed' in outer)) return parseGrant(outer, name, place)
      const { revision } = outer
      if (typeof revision !== 'number') throw damaged(place, 'its revision is missing')
      const inner = await unseal(seal, outer['sealed'], context(name, revision), place)
      const document = parseGrant(parseVersioned(inner, place), name, place)
      if (document.revision !== revision) throw damaged(place, 'its revision is wrong')
      return document
    },
  }
}

/** Bound into the seal: a document cannot be passed off as that of another grant, nor under another revision. */
const context = (name: string, revision: number) => `${name}\0${revision}`

async function unseal(seal: Seal | undefined, sealed: unknown, bound: string, place: string): Promise<string> {
  if (seal === undefined) {
    throw new StoreError(
      'wrong-key',
      `${place} is sealed and no key is set. Set store.encryptionKey to the key that sealed it.`,
    )
  }
  try {
    return await seal.open(sealed, bound)
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    switch (error.fault) {
      case 'damaged':
        throw damaged(place, error.message)
      case 'newer':
        throw new StoreError(
          'newer',
          `${place} can't be opened: ${error.message}. Run the newer bearer-sidecar that wrote it.`,
        )
      case 'wrong-key':
        throw new StoreError(
          'wrong-key',
          `${place} can't be opened: ${error.message}. Set store.encryptionKey to that key, or add it to store.previousEncryptionKeys.`,
        )
    }
  }
}
