/**
 * Which entry of a credential's header lists is in use: interchangeable keys, failed over in order. Shared by all routes of the credential, so
 * that a key which one request found working is the key of the next. Several lists of one credential move in step.
 */
export class KeyRing {
  readonly credential: string
  readonly size: number
  readonly #onChange: (credential: string, position: number) => void
  #current = 0

  constructor(credential: string, size: number, onChange: (credential: string, position: number) => void) {
    this.credential = credential
    this.size = size
    this.#onChange = onChange
  }

  get current(): number {
    return this.#current
  }

  /** The answer to a request with this key was not about the key. Reported once per change, however many requests found it out. */
  settle(position: number): void {
    if (position === this.#current) return
    this.#current = position
    this.#onChange(this.credential, position + 1)
  }

  /** The request could not be sent again, so the next one finds out whether the next key works. */
  skip(rejected: number): void {
    if (rejected === this.#current) this.settle((rejected + 1) % this.size)
  }
}

/** The number of keys of a credential: the length of its longest header list. */
export function keyCount(headers: Readonly<Record<string, string | readonly string[]>>): number {
  return Math.max(1, ...Object.values(headers).map((value) => (typeof value === 'string' ? 1 : value.length)))
}
