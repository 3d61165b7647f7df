import { createHash, scrypt } from 'node:crypto'

/** How a configured key becomes the 32 bytes of AES-256. The label is written into each envelope, so that it can change one day. */
export type KeyDerivation = 'none' | 'scrypt-32768-8-3'

export interface AesKey {
  readonly bytes: Buffer
  /** Tells keys apart without telling anything about them. */
  readonly id: string
}

/**
 * N = 2^15, r = 8, p = 3: one of the equal choices of the OWASP password storage sheet, the one that needs 32 MiB, so that a small
 * container survives it. About a third of a second, once per key, salt and process.
 */
const cost = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 ** 2 }

/** A value of `encryptionKey`: 32 bytes in hex, base64 or base64url are taken as they are, anything else is a passphrase. */
export class EncryptionKey {
  readonly derivation: KeyDerivation
  readonly #secret: Buffer
  readonly #derived = new Map<string, Promise<AesKey>>()

  constructor(text: string) {
    const raw = decodeKey(text)
    this.derivation = raw === undefined ? 'scrypt-32768-8-3' : 'none'
    this.#secret = raw ?? Buffer.from(text.normalize('NFKC'))
  }

  /** The AES key; for a passphrase that of this salt, kept for the next time. */
  key(salt: string): Promise<AesKey> {
    let derived = this.#derived.get(salt)
    if (derived === undefined) {
      derived = this.derivation === 'none' ? Promise.resolve(named(this.#secret)) : stretch(this.#secret, salt)
      this.#derived.set(salt, derived)
    }
    return derived
  }
}

function decodeKey(text: string): Buffer | undefined {
  const trimmed = text.trim()
  if (/^[0-9A-Fa-f]{64}$/.test(trimmed)) return Buffer.from(trimmed, 'hex')
  // 32 bytes are 43 characters of either base64 alphabet; Node decodes both.
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return Buffer.from(trimmed, 'base64')
  return undefined
}

function stretch(passphrase: Buffer, salt: string): Promise<AesKey> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.from(salt, 'base64'), 32, cost, (error, bytes) => {
      if (error) reject(error)
      else resolve(named(bytes))
    })
  })
}

/** The id is taken from the finished key: from the passphrase itself it would be a way around scrypt. */
function named(bytes: Buffer): AesKey {
  const id = createHash('sha256').update('bearer-sidecar key id\0').update(bytes).digest('hex').slice(0, 16)
  return { bytes, id }
}
