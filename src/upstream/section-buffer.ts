import { incomplete } from './http1-head.ts'

/** Reads one section from [start, end): the offset after it, `incomplete`, or a lower number for a fault. */
type Scan = (buffer: Buffer, start: number, end: number) => number

export const sectionTooLarge = -100

const firstSize = 2048
/** Within these bytes every piece is scanned, so that something that is no HTTP is known at once. */
const statusLineStart = 16
const LF = 0x0a

/**
 * Holds the beginning of a head or trailer section until its end has come. The usual section arrives whole and is scanned where it lies,
 * without a copy; one that comes in pieces is scanned again only when a piece brings a line's end.
 */
export class SectionBuffer {
  readonly #limit: number
  #bytes: Buffer | undefined
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get empty(): boolean {
    return this.#length === 0
  }

  clear(): void {
    this.#bytes = undefined
    this.#length = 0
  }

  /**
   * Adds [start, end) and scans. Returns the offset in `buffer` after the section (it is then forgotten here), `incomplete` when everything was
   * taken in, or the fault.
   */
  take(buffer: Buffer, start: number, end: number, scan: Scan): number {
    if (this.#length === 0) {
      const done = scan(buffer, start, end)
      if (done >= 0) return done - start > this.#limit ? sectionTooLarge : done
      if (done !== incomplete) return done
      return this.#append(buffer, start, end) ? incomplete : sectionTooLarge
    }
    const before = this.#length
    // No more than the limit is ever copied; a section that ends beyond it is too large anyway.
    const stop = Math.min(end, start + this.#limit - before)
    if (!this.#append(buffer, start, stop)) return sectionTooLarge
    const lineEnd = buffer.indexOf(LF, start)
    if (before < statusLineStart || (lineEnd >= 0 && lineEnd < stop)) {
      const done = scan(this.#bytes as Buffer, 0, this.#length)
      if (done >= 0) {
        this.clear()
        return start + done - before
      }
      if (done !== incomplete) return done
    }
    return stop < end || this.#length >= this.#limit ? sectionTooLarge : incomplete
  }

  #append(buffer: Buffer, start: number, end: number): boolean {
    const needed = this.#length + end - start
    if (needed > this.#limit) return false
    if (this.#bytes === undefined || this.#bytes.length < needed) {
      const grown = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(firstSize, 2 * needed)))
      this.#bytes?.copy(grown, 0, 0, this.#length)
      this.#bytes = grown
    }
    buffer.copy(this.#bytes, this.#length, start, end)
    this.#length = needed
    return true
  }
}
