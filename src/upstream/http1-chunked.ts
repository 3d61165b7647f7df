import { incomplete, scanFields } from './http1-head.ts'
import { SectionBuffer } from './section-buffer.ts'

/** Bytes of one chunk-size line, extensions included: a long one is work without payload. */
const maxSizeLine = 1024
/** 13 hexadecimal digits stay below 2^53; leading zeros count. */
const maxSizeDigits = 13
const maxTrailer = 64 * 1024

const CR = 0x0d
const LF = 0x0a
const SP = 0x20
const HT = 0x09
const semicolon = 0x3b

type State = 'size' | 'space' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'done'

/**
 * The chunked coding of RFC 9112 section 7.1. Payload of one piece of input is moved together in place, so that a piece gives one run of
 * bytes however small its chunks are. Extensions are ignored, trailer fields are read and dropped (section 7.1.2 allows both).
 */
export class ChunkedDecoder {
  /** The payload found by the last decode(): an empty run when both are equal. */
  dataStart = 0
  dataEnd = 0
  #state: State = 'size'
  #remaining = 0
  #digits = 0
  #line = 0
  readonly #trailer = new SectionBuffer(maxTrailer)

  get done(): boolean {
    return this.#state === 'done'
  }

  /** Makes ready for another body. */
  reset(): void {
    this.#state = 'size'
    this.#remaining = this.#digits = this.#line = 0
    this.#trailer.clear()
  }

  /** Takes [start, end) of `buffer`, which it may rearrange. Returns the offset after the last byte used, or -1 for broken framing. */
  decode(buffer: Buffer, start: number, end: number): number {
    this.dataStart = this.dataEnd = start
    let at = start
    while (at < end) {
      if (this.#state === 'data') {
        const stop = Math.min(end, at + this.#remaining)
        this.#keep(buffer, at, stop)
        this.#remaining -= stop - at
        at = stop
        if (this.#remaining === 0) this.#state = 'data-cr'
      } else if (this.#state === 'trailer') {
        const next = this.#trailer.take(buffer, at, end, scanFields)
        if (next === incomplete) return end
        if (next < 0) return -1
        this.#state = 'done'
        return next
      } else {
        if (!this.#step(buffer[at] as number)) return -1
        at++
      }
    }
    return at
  }

  #keep(buffer: Buffer, from: number, to: number): void {
    if (this.dataStart === this.dataEnd) {
      this.dataStart = from
      this.dataEnd = to
    } else {
      buffer.copyWithin(this.dataEnd, from, to)
      this.dataEnd += to - from
    }
  }

  /** One byte of framing; false when it may not stand here. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case 'size': {
        const digit = hexDigit(byte)
        if (digit >= 0) {
          this.#remaining = this.#remaining * 16 + digit
          return ++this.#digits <= maxSizeDigits
        }
        if (this.#digits === 0) return false
        return this.#sizeEnd(byte)
      }
      case 'space':
        // Section 7.1.1 allows bad whitespace before an extension, not before the line's end.
        return byte !== CR && this.#sizeEnd(byte)
      case 'extension':
        if (byte === CR) this.#state = 'size-lf'
        else if ((byte < SP && byte !== HT) || byte === 0x7f) return false
        return ++this.#line <= maxSizeLine
      case 'size-lf':
        if (byte !== LF) return false
        this.#state = this.#remaining === 0 ? 'trailer' : 'data'
        this.#digits = this.#line = 0
        return true
      case 'data-cr':
        this.#state = 'data-lf'
        return byte === CR
      case 'data-lf':
        this.#state = 'size'
        return byte === LF
      case 'data':
      case 'trailer':
      case 'done':
        return false
    }
  }

  #sizeEnd(byte: number): boolean {
    if (byte === CR) this.#state = 'size-lf'
    else if (byte === semicolon) this.#state = 'extension'
    else if (byte === SP || byte === HT) this.#state = 'space'
    else return false
    return ++this.#line <= maxSizeLine
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
