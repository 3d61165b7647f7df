import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { EncryptionKey, type AesKey, type KeyDerivation } from './encryption-key.ts'

/** Ciphertext and all that is needed to open it but the key. Binary values are canonical base64. */
export interface Sealed {
  readonly alg: 'AES-256-GCM'
  readonly kdf: KeyDerivation
  /** null when the key needs no derivation. */
  readonly salt: string | null
  readonly iv: string
  readonly tag: string
  readonly keyId: string
  readonly data: string
}

/** Why a sealed text did not open. `damaged` also covers one that was moved here from another place: the context is authenticated. */
export class SealError extends Error {
  override readonly name = 'SealError'
  readonly fault: 'damaged' | 'wrong-key' | 'newer'

  constructor(fault: SealError['fault'], message: string) {
    super(message)
    this.fault = fault
  }
}

/** AES-256-GCM with the current key; opens what the current or a previous key sealed. */
export class Seal {
  readonly #keys: readonly EncryptionKey[]
  #salt: string | undefined

  /** The first key is the current one. */
  constructor(keys: readonly [string, ...string[]]) {
    this.#keys = keys.map((key) => new EncryptionKey(key))
  }

  /** `context` says where the text belongs; it is authenticated, not stored. */
  async seal(plain: string, context: string): Promise<Sealed> {
    const [current] = this.#keys
    if (current === undefined) throw new TypeError('no encryption key')
    // One salt per store and key, so that only the first save pays for scrypt.
    const salt = current.derivation === 'none' ? null : (this.#salt ??= randomBytes(16).toString('base64'))
    const key = await current.key(salt ?? '')
    // 96 random bits: NIST SP 800-38D section 8.3 allows 2^32 saves under one key.
    const iv = randomBytes(12)
    const header = {
      alg: 'AES-256-GCM',
      kdf: current.derivation,
      salt,
      iv: iv.toString('base64'),
      keyId: key.id,
    } as const
    const cipher = createCipheriv('aes-256-gcm', key.bytes, iv).setAAD(authenticated(header, context))
    const data = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return { ...header, tag: cipher.getAuthTag().toString('base64'), data: data.toString('base64') }
  }

  /** Rejects with SealError. */
  async open(value: unknown, context: string): Promise<string> {
    const sealed = readSealed(value)
    const key = await this.#find(sealed)
    if (key === undefined) throw new SealError('wrong-key', `it was sealed with another key (id ${sealed.keyId})`)
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, binary(sealed.iv, 12), { authTagLength: 16 })
    decipher.setAAD(authenticated(sealed, context)).setAuthTag(binary(sealed.tag, 16))
    try {
      return Buffer.concat([decipher.update(binary(sealed.data)), decipher.final()]).toString('utf8')
    } catch {
      throw new SealError('damaged', 'its seal is broken')
    }
  }

  async #find(sealed: Sealed): Promise<AesKey | undefined> {
    for (const [index, candidate] of this.#keys.entries()) {
      if (candidate.derivation !== sealed.kdf) continue
      const key = await candidate.key(sealed.salt ?? '')
      if (key.id !== sealed.keyId) continue
      if (index === 0 && sealed.salt !== null) this.#salt ??= sealed.salt
      return key
    }
    return undefined
  }
}

function authenticated(header: Omit<Sealed, 'tag' | 'data'>, context: string): Buffer {
  return Buffer.from(JSON.stringify(['bearer-sidecar', 1, header.alg, header.kdf, header.salt, header.keyId, context]))
}

function readSealed(value: unknown): Sealed {
  const fields: Partial<Record<keyof Sealed, unknown>> = typeof value === 'object' && value !== null ? value : {}
  const { alg, kdf, salt, iv, tag, keyId, data } = fields
  if (typeof alg !== 'string' || typeof kdf !== 'string') throw new SealError('damaged', 'its seal is incomplete')
  if (alg !== 'AES-256-GCM' || (kdf !== 'none' && kdf !== 'scrypt-32768-8-3')) {
    throw new SealError('newer', 'it is sealed in a way that this bearer-sidecar does not know')
  }
  if (
    (kdf === 'none' ? salt !== null : typeof salt !== 'string') ||
    typeof iv !== 'string' ||
    typeof tag !== 'string' ||
    typeof data !== 'string' ||
    typeof keyId !== 'string' ||
    !/^[0-9a-f]{16}$/.test(keyId)
  ) {
    throw new SealError('damaged', 'its seal is incomplete')
  }
  const saltText = typeof salt === 'string' ? salt : null
  if (saltText !== null) binary(saltText, 16)
  return { alg, kdf, salt: saltText, iv, tag, keyId, data }
}

/** Node skips what is not base64; a seal that is not letter for letter what was written is damaged. */
function binary(text: string, length?: number): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text || (length !== undefined && bytes.length !== length)) {
    throw new SealError('damaged', 'its seal is not well-formed')
  }
  return bytes
}
