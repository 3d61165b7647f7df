import type { OnReadOpts, Socket } from 'node:net'

/** A TLS record's payload at most; larger reads come in pieces of it anyway. */
const tlsReadSize = 16 * 1024
const plainReadSize = 64 * 1024

/**
 * Takes bytes in. `length` bytes lie at the beginning of `buffer`, which may be rearranged; `copy`: they are overwritten by the next read.
 * False stops reading until resume().
 */
type Consume = (buffer: Buffer, length: number, copy: boolean) => boolean

/** Reads a socket, in order, and never while paused. */
export class SocketReader {
  paused = false
  /** The other side has closed, and everything before that was consumed. */
  finished = false
  readonly #consume: Consume
  readonly #onFin: () => void
  #socket: Socket | undefined
  /** True when one buffer of ours is read into, again and again; else Node allocates one for every read. */
  #ownBuffer = false
  /** What TLS had decrypted already when reading stopped: it is handed out all the same. */
  #backlog: Buffer[] | undefined
  #ended = false

  constructor(consume: Consume, onFin: () => void) {
    this.#consume = consume
    this.#onFin = onFin
  }

  /** For the creation of the socket, where Node allows it. */
  onread(secure: boolean): OnReadOpts {
    const buffer = Buffer.allocUnsafeSlow(secure ? tlsReadSize : plainReadSize)
    this.#ownBuffer = true
    return { buffer, callback: (length) => this.#read(buffer, length, true) }
  }

  attach(socket: Socket): void {
    this.#socket = socket
    if (!this.#ownBuffer) {
      socket.on('data', (chunk: Buffer) => {
        if (!this.#read(chunk, chunk.length, false)) socket.pause()
      })
    }
    socket.on('end', () => {
      this.#ended = true
      if (this.#backlog === undefined) this.#finish()
    })
  }

  /** Nothing has been read that was not consumed. */
  get empty(): boolean {
    return this.#backlog === undefined
  }

  #read(buffer: Buffer, length: number, copy: boolean): boolean {
    if (this.paused) {
      this.#backlog ??= []
      this.#backlog.push(Buffer.from(buffer.subarray(0, length)))
      return false
    }
    this.paused = !this.#consume(buffer, length, copy)
    return !this.paused
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.#backlog === undefined) this.#socket?.resume()
    else process.nextTick(() => this.#readBacklog())
  }

  #readBacklog(): void {
    while (this.#backlog !== undefined && !this.paused) {
      const chunk = this.#backlog.shift() as Buffer
      if (this.#backlog.length === 0) this.#backlog = undefined
      this.paused = !this.#consume(chunk, chunk.length, false)
    }
    if (this.#backlog !== undefined) return
    if (this.#ended) this.#finish()
    else if (!this.paused) this.#socket?.resume()
  }

  #finish(): void {
    this.finished = true
    this.#onFin()
  }
}
