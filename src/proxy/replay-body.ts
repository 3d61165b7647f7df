import type { IncomingMessage } from 'node:http'

export interface BodyListener {
  onBodyChunk(chunk: Buffer): void
  onBodyEnd(): void
}

/**
 * The caller's body on its way: handed on piece by piece, and kept beside that while it is small enough to be sent a second time.
 */
export class CallerBody {
  /** Content-Length; undefined for a chunked body. */
  readonly length: number | undefined
  readonly #request: IncomingMessage
  readonly #limit: number
  #kept: Buffer[] | undefined
  #size = 0
  #complete = false
  #started = false

  /** `limit`: the largest body in bytes that is kept. */
  constructor(request: IncomingMessage, length: number | undefined, limit: number) {
    this.#request = request
    this.#limit = limit
    this.length = length
    this.#kept = length !== undefined && length > limit ? undefined : []
  }

  /** Nothing is read before: a body that is not wanted stays with the caller (Expect: 100-continue). */
  start(listener: BodyListener): void {
    this.#started = true
    this.#request.on('data', (chunk: Buffer) => {
      this.#size += chunk.length
      if (this.#size > this.#limit) this.#kept = undefined
      else this.#kept?.push(chunk)
      listener.onBodyChunk(chunk)
    })
    this.#request.on('end', () => {
      this.#complete = true
      listener.onBodyEnd()
    })
  }

  get started(): boolean {
    return this.#started
  }

  /** The last byte has been read. */
  get complete(): boolean {
    return this.#complete
  }

  /** The last byte has arrived, though perhaps not been read. */
  get arrived(): boolean {
    return this.#request.complete
  }

  get size(): number {
    return this.#size
  }

  /** Everything read so far is still here. False once and for all when the body turned out too large, or forget() was called. */
  get kept(): boolean {
    return this.#kept !== undefined
  }

  /** Everything read so far. */
  bytes(): Buffer {
    const [only] = this.#kept ?? []
    return this.#kept?.length === 1 && only !== undefined ? only : Buffer.concat(this.#kept ?? [])
  }

  forget(): void {
    this.#kept = undefined
  }

  pause(): void {
    this.#request.pause()
  }

  resume(): void {
    this.#request.resume()
  }
}

/** The body that the request announces (RFC 9112 section 6.3); an announced empty one is a body too. */
export function announcedBody(request: IncomingMessage, limit: number): CallerBody | undefined {
  const length = request.headers['content-length']
  if (length !== undefined) return new CallerBody(request, Number(length), limit)
  return request.headers['transfer-encoding'] === undefined ? undefined : new CallerBody(request, undefined, limit)
}
