import { ChunkedDecoder } from './http1-chunked.ts'
import { frame } from './http1-framing.ts'
import { headFault, incomplete, readHead, type ResponseHead } from './http1-head.ts'
import { SectionBuffer, sectionTooLarge } from './section-buffer.ts'
import type { UpstreamHead } from './upstream.ts'

/** Bytes of one head at most, where nobody asks for less; also of one interim head. */
export const maxHead = 64 * 1024
/** Interim answers (1xx) before the final one. */
const maxInterim = 32

export type ParserEvent = 'more' | 'head' | 'data' | 'complete' | 'failed'

type State = 'idle' | 'head' | 'sized' | 'chunked' | 'until-close' | 'complete' | 'failed'

/**
 * One HTTP/1.1 answer at a time, pulled from whatever pieces the socket gives: feed() a piece, then next() until it says 'more'. One piece gives
 * at most one 'data'. The parser knows no socket, calls nobody, and copies nothing but heads that come in pieces.
 */
export class Http1Parser {
  /** After 'head'. */
  head: UpstreamHead | undefined
  /** After 'data': the run of payload in the piece given last. Its bytes belong to that piece. */
  dataStart = 0
  dataEnd = 0
  /** After 'failed': what was wrong, without any byte of the answer. */
  fault = ''
  /** After 'head': whether another request may follow, and the upstream's own idle limit in seconds. */
  persistent = false
  keepAlive: number | undefined

  #state: State = 'idle'
  #headRequest = false
  #interim = 0
  #remaining = 0
  #input: Buffer = empty
  #at = 0
  #end = 0
  #parsed: ResponseHead | undefined
  readonly #maxHead: number
  readonly #section: SectionBuffer
  readonly #chunked = new ChunkedDecoder()

  /** `limit`: bytes that a head may have. */
  constructor(limit = maxHead) {
    this.#maxHead = limit
    this.#section = new SectionBuffer(limit)
  }

  /** Expects the answer to a request that has just been sent. */
  begin(headRequest: boolean): void {
    this.#state = 'head'
    this.#headRequest = headRequest
    this.#interim = 0
  }

  feed(buffer: Buffer, start: number, end: number): void {
    this.#input = buffer
    this.#at = start
    this.#end = end
  }

  /** Bytes of the last piece that lie behind the end of the answer. */
  get surplus(): number {
    return this.#end - this.#at
  }

  next(): ParserEvent {
    for (;;) {
      switch (this.#state) {
        case 'head': {
          if (this.#at === this.#end) return 'more'
          const event = this.#readHead()
          if (event !== undefined) return event
          break
        }
        case 'sized': {
          if (this.#remaining === 0) {
            this.#state = 'complete'
            break
          }
          if (this.#at === this.#end) return 'more'
          this.dataStart = this.#at
          this.dataEnd = this.#at = Math.min(this.#end, this.#at + this.#remaining)
          this.#remaining -= this.dataEnd - this.dataStart
          return 'data'
        }
        case 'chunked': {
          if (this.#chunked.done) {
            this.#state = 'complete'
            break
          }
          if (this.#at === this.#end) return 'more'
          const at = this.#chunked.decode(this.#input, this.#at, this.#end)
          if (at < 0) return this.#fail('broken chunked framing')
          this.#at = at
          this.dataStart = this.#chunked.dataStart
          this.dataEnd = this.#chunked.dataEnd
          if (this.dataEnd > this.dataStart) return 'data'
          break
        }
        case 'until-close':
          if (this.#at === this.#end) return 'more'
          this.dataStart = this.#at
          this.dataEnd = this.#at = this.#end
          return 'data'
        case 'complete':
          return 'complete'
        case 'idle':
        case 'failed':
          return 'failed'
      }
    }
  }

  /** The upstream has closed its side: complete for an answer that ends so, else visibly short. */
  finish(): 'complete' | 'failed' {
    if (this.#state === 'until-close' || this.#state === 'complete') {
      this.#state = 'complete'
      return 'complete'
    }
    if (this.#state !== 'failed') this.#fail('the answer ended before its end')
    return 'failed'
  }

  /** Reads one head; undefined when it was an interim one that is over. */
  #readHead(): ParserEvent | undefined {
    const next = this.#section.take(this.#input, this.#at, this.#end, this.#scanHead)
    if (next < 0) {
      if (next !== incomplete)
        return this.#fail(next === sectionTooLarge ? `head over ${this.#maxHead / 1024} KiB` : headFault(next))
      this.#at = this.#end
      return 'more'
    }
    this.#at = next
    const parsed = this.#parsed as ResponseHead
    this.#parsed = undefined
    if (parsed.status < 200) {
      // Nobody asked for another protocol, so the bytes that follow have no meaning (RFC 9110 section 15.2.2).
      if (parsed.status === 101) return this.#fail('unsolicited 101')
      return ++this.#interim > maxInterim ? this.#fail('too many interim answers') : undefined
    }
    const framing = frame(parsed, this.#headRequest)
    if (typeof framing === 'string') return this.#fail(framing)
    this.persistent = framing.persistent
    this.keepAlive = framing.keepAlive
    const { body } = framing
    let length: number | undefined
    if (typeof body === 'number') {
      length = this.#remaining = body
      this.#state = 'sized'
    } else if (body === 'chunked') {
      this.#chunked.reset()
      this.#state = 'chunked'
    } else {
      this.#state = body === 'none' ? 'complete' : 'until-close'
    }
    const { status, statusText, headers } = parsed
    this.head = { status, statusText, headers, length, hasBody: body !== 'none' }
    return 'head'
  }

  readonly #scanHead = (buffer: Buffer, start: number, end: number): number => {
    const parsed = readHead(buffer, start, end)
    if (typeof parsed === 'number') return parsed
    this.#parsed = parsed
    return parsed.end
  }

  #fail(fault: string): 'failed' {
    this.#state = 'failed'
    this.fault = fault
    return 'failed'
  }
}

const empty = Buffer.alloc(0)
