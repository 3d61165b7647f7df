/** From this size on a piece is kept as it came: the few hundred bytes that a Buffer costs beside its contents no longer count. */
const large = 2048
const largestBlock = 64 * 1024

/**
 * Bytes that came in pieces, kept in few blocks however small the pieces were: what is held grows with the bytes, not with their framing. The one piece, or the few
 * large ones, of an ordinary body are not copied.
 */
export class Pieces {
  #size = 0
  #blocks: Buffer[] = []
  /** Small pieces are copied into it, one behind the other. */
  #room: Buffer | undefined
  /** The bytes in it that are in no block yet. */
  #start = 0
  #end = 0

  get size(): number {
    return this.#size
  }

  add(piece: Buffer): void {
    this.#size += piece.length
    if (isLarge(piece) || (this.#blocks.length === 0 && this.#start === this.#end)) {
      this.#endRun()
      this.#blocks.push(piece)
      return
    }
    if (this.#room === undefined || this.#end + piece.length > this.#room.length) {
      this.#newRoom()
    }
    this.#room?.set(piece, this.#end)
    this.#end += piece.length
  }

  /** What was added so far. */
  blocks(): readonly Buffer[] {
    this.#endRun()
    return this.#blocks
  }

  /** Hands out what was added since the last time. */
  take(): readonly Buffer[] {
    const blocks = this.blocks()
    this.#blocks = []
    this.#size = 0
    return blocks
  }

  /** Takes the last block along when that is a small one, so that pieces of one turn become one block. */
  #newRoom(): void {
    this.#endRun()
    this.#room = Buffer.allocUnsafeSlow(Math.min(Math.max(this.#size, 2 * large), largestBlock))
    this.#start = this.#end = 0
    const last = this.#blocks.at(-1)
    if (last === undefined || isLarge(last)) return
    this.#blocks.pop()
    this.#room.set(last)
    this.#end = last.length
  }

  #endRun(): void {
    if (this.#room === undefined || this.#start === this.#end) return
    this.#blocks.push(this.#room.subarray(this.#start, this.#end))
    this.#start = this.#end
  }
}

export function joined(blocks: readonly Buffer[]): Buffer {
  const [only] = blocks
  return blocks.length === 1 && only !== undefined ? only : Buffer.concat(blocks)
}

export function isLarge(piece: Buffer): boolean {
  return piece.length >= large
}
