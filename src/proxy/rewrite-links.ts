import { withoutDefaultPort, type Links } from './links.ts'

/** How / may be written inside a JSON string (RFC 8259 section 7). */
const slashes = ['/', '\\/', '\\u002f', '\\u002F']
/** A URL is looked at this far, so that what is held back of a stream stays small whatever the stream holds. */
const window = 8192
/** What ends a URL in text, or comes right before one. Inside a URL these are percent-encoded, so https://cdn.example/?u=https://api... stays. */
const boundary = '["\\x00-\\x20<>^`{|}]|\\\\[nrt]'

/**
 * Rewrites the upstream's own origin in the string values of a JSON text, piece by piece: bytes are held back only while they may be the
 * beginning of a link. What comes out does not depend on how the text was cut into pieces.
 */
export class LinkRewriter {
  readonly #links: Links
  readonly #proxyOrigin: string
  readonly #authority: Buffer
  /** The origin in each spelling of its slashes. */
  readonly #spellings: readonly string[]
  readonly #candidate: RegExp
  readonly #longest: number
  /** Bytes that came but were not given out yet, as latin1 text. */
  #held = ''
  /** The last two characters that were given out: what a link may follow on. */
  #before = '"'

  /** `proxyOrigin`: scheme and authority that links lead to from now on. */
  constructor(links: Links, proxyOrigin: string) {
    this.#links = links
    this.#proxyOrigin = proxyOrigin
    const [scheme = '', authority = ''] = links.origin.split('//')
    this.#authority = Buffer.from(authority, 'latin1')
    this.#spellings = slashes.map((slash) => `${scheme}${slash}${slash}${authority}`)
    this.#candidate = new RegExp(`(?<=${boundary})(?:${this.#spellings.map(escapeRegExp).join('|')})`, 'g')
    this.#longest = Math.max(...this.#spellings.map(({ length }) => length))
  }

  push(chunk: Buffer): Buffer {
    if (this.#held === '' && !chunk.includes(this.#authority)) {
      const tail = chunk.toString('latin1', Math.max(0, chunk.length - this.#longest))
      if (this.#openEnd(tail) === 0) {
        this.#remember(tail)
        return chunk
      }
    }
    return this.#rewrite(chunk.toString('latin1'), false)
  }

  end(): Buffer {
    return this.#rewrite('', true)
  }

  #rewrite(more: string, final: boolean): Buffer {
    const { length: skip } = this.#before
    const text = this.#before + this.#held + more
    let out = ''
    let done = skip
    let open = text.length
    this.#candidate.lastIndex = skip
    const strings = new StringEnds(text)
    for (let match = this.#candidate.exec(text); match !== null; match = this.#candidate.exec(text)) {
      const originEnd = match.index + match[0].length
      const ahead = text.slice(originEnd, originEnd + window)
      const isKey = strings.endsKey(originEnd, originEnd + ahead.length)
      if (isKey === undefined && !final && ahead.length < window) {
        open = match.index
        break
      }
      const link = isKey === true ? undefined : this.#translated(match[0], ahead)
      if (link === undefined) continue
      out += text.slice(done, match.index) + link.text
      done = originEnd + link.consumed
    }
    if (!final && open === text.length) open = Math.max(done, text.length - this.#openEnd(text.slice(done)))
    out += text.slice(done, open)
    this.#held = text.slice(open)
    this.#remember(text.slice(0, open))
    return Buffer.from(out, 'latin1')
  }

  /** What stands in place of the origin and the first `consumed` characters after it; undefined when the URL stays. */
  #translated(origin: string, ahead: string): { text: string; consumed: number } | undefined {
    const afterPort = withoutDefaultPort(this.#links.origin, ahead)
    const raw = /^(?:\\\/|\\u[\da-f]{4}|[^"?#\x00-\x20<>\\^`{|}])*/i.exec(afterPort)?.[0] ?? ''
    const escape = /^\\[^"nrt]/.test(afterPort.slice(raw.length))
    if (escape) return undefined
    const path = unescape(raw)
    if (path !== '' && !path.startsWith('/')) return undefined
    const mapping = this.#links.mapping(path === '' ? '/' : path)
    if (mapping === undefined) return undefined
    const prefix = path === '' && mapping.prefix !== '' ? `${mapping.prefix}/` : mapping.prefix
    const slash = slashes.find((spelling) => origin.includes(`:${spelling}${spelling}`)) ?? '/'
    return {
      text: (this.#proxyOrigin + prefix).replaceAll('/', slash),
      consumed: ahead.length - afterPort.length + rawLength(raw, mapping.replaced),
    }
  }

  /** Length of the longest end of the text that may be the beginning of a link. */
  #openEnd(text: string): number {
    for (let length = Math.min(text.length, this.#longest - 1); length > 0; length--) {
      const end = text.slice(text.length - length)
      if (this.#spellings.some((spelling) => spelling.startsWith(end))) return length
    }
    return 0
  }

  #remember(given: string): void {
    this.#before = (this.#before + given).slice(-2)
  }
}

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a

/** Where the strings of a text end, and whether as keys of members: found once for all the links in a string. */
class StringEnds {
  readonly #text: string
  /** Up to here the string has no end, and no escape begins before and ends behind it. */
  #at = 0
  /** The first character that matters behind the closing quote; -1 while the quote was not found. */
  #next = -1

  constructor(text: string) {
    this.#text = text
  }

  /** True when the string that `from` is in the middle of is a key; undefined when that does not show before `to`. Must be asked in ascending order. */
  endsKey(from: number, to: number): boolean | undefined {
    if (this.#at < from) {
      this.#at = from
      this.#next = -1
    }
    if (this.#next < 0 && !this.#findEnd(to)) return undefined
    while (this.#next < to && isBlank(this.#text.charCodeAt(this.#next))) this.#next++
    return this.#next < to ? this.#text.charCodeAt(this.#next) === colon : undefined
  }

  #findEnd(to: number): boolean {
    while (this.#at < to) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === quote) {
        this.#next = this.#at + 1
        return true
      }
      if (code === backslash && this.#at + 1 >= to) return false
      this.#at += code === backslash ? 2 : 1
    }
    return false
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d
}

function unescape(raw: string): string {
  return raw.replace(/\\u([\da-f]{4})|\\\//gi, (_, hex?: string) =>
    hex === undefined ? '/' : String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

/** How many characters of the escaped text stand for the first `count` of the plain one. */
function rawLength(raw: string, count: number): number {
  const characters = raw.match(/\\u[\da-f]{4}|\\\/|[^]/gi) ?? []
  return characters.slice(0, count).join('').length
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
