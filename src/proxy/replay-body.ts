import type { IncomingMessage } from 'node:http'
import { wasReset } from './caller-reset.ts'
import { isLarge, joined, Pieces } from './pieces.ts'

export interface BodyListener {
  onBodyChunk(chunk: Buffer): void
  onBodyEnd(): void
}

/** Bytes after which small chunks do not wait for the end of the turn, so that a slow upstream is noticed. */
const mostGathered = 64 * 1024

/**
 * The caller's body on its way: handed on piece by piece, and kept beside that while it is small enough to be sent a second time.
 */
export class CallerBody {
  /** Content-Length; undefined for a chunked body. */
  readonly length: number | undefined
  readonly #request: IncomingMessage
  readonly #limit: number
  #listener: BodyListener | undefined
  #kept: Pieces | undefined
  /** Small chunks of this turn of the event loop. */
  #gathered: Pieces | undefined
  #size = 0
  #complete = false

  /** `limit`: the largest body in bytes that is kept. */
  constructor(request: IncomingMessage, length: number | undefined, limit: number) {
    this.#request = request
    this.#limit = limit
    this.length = length
    this.#kept = length !== undefined && length > limit ? undefined : new Pieces()
  }

  /** Nothing is read before: a body that is not wanted stays with the caller (Expect: 100-continue). */
  start(listener: BodyListener): void {
    this.#listener = listener
    this.#request.on('data', (chunk: Buffer) => {
      const first = this.#size === 0
      this.#size += chunk.length
      if (this.#size > this.#limit) this.#kept = undefined
      if (first || this.length !== undefined || (isLarge(chunk) && !this.#gathered?.size)) this.#handOn(chunk)
      else this.#gather(chunk)
    })
    this.#request.on('end', () => {
      this.handOnGathered()
      this.#complete = true
      listener.onBodyEnd()
    })
  }

  /** One packet may hold thousands of chunks, and Node hands out each alone: what comes in one turn of the event loop goes on together at its end. */
  #gather(chunk: Buffer): void {
    this.#gathered ??= new Pieces()
    if (this.#gathered.size === 0) setImmediate(handOnGathered, this)
    this.#gathered.add(chunk)
    if (this.#gathered.size >= mostGathered) this.handOnGathered()
  }

  handOnGathered(): void {
    for (const piece of this.#gathered?.take() ?? []) this.#handOn(piece)
  }

  #handOn(piece: Buffer): void {
    this.#kept?.add(piece)
    this.#listener?.onBodyChunk(piece)
  }

  get started(): boolean {
    return this.#listener !== undefined
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
    return joined(this.#kept?.blocks() ?? [])
  }

  forget(): void {
    this.#kept = undefined
  }

  /** Ends a connection that the caller has reset, which nobody would see while it is not read from. */
  endIfReset(): boolean {
    const { socket } = this.#request
    if (!wasReset(socket)) return false
    socket.destroy()
    return true
  }

  pause(): void {
    this.#request.pause()
  }

  resume(): void {
    this.#request.resume()
  }
}

function handOnGathered(body: CallerBody): void {
  body.handOnGathered()
}

/** The body that the request announces (RFC 9112 section 6.3); an announced empty one is a body too. */
export function announcedBody(request: IncomingMessage, limit: number): CallerBody | undefined {
  const length = request.headers['content-length']
  if (length !== undefined) return new CallerBody(request, Number(length), limit)
  return request.headers['transfer-encoding'] === undefined ? undefined : new CallerBody(request, undefined, limit)
}
