/**
 * The status line and the field lines of an answer, RFC 9112 sections 4 and 5, scanned once over the bytes. Nothing is repaired: a line
 * that RFC 9112 allows a recipient to tolerate (bare LF, obs-fold, space before the colon) is where two parsers disagree, so it is refused.
 */

export interface ResponseHead {
  /** Offset of the first byte after the head. */
  readonly end: number
  /** The x of HTTP/1.x. */
  readonly minorVersion: number
  readonly status: number
  readonly statusText: string
  /** Flat list name, value, name, value..., in the order and spelling of the sender, one char per byte. */
  readonly headers: string[]
}

/** More bytes are needed. */
export const incomplete = -1
/** Not a head: see headFault for the words. */
export type HeadFault = -2 | -3 | -4 | -5

const badStatusLine = -2
const badField = -3
const tooManyFields = -4
const badStatus = -5

/** Fields of one head or trailer section; more of them are taken for a flood. */
const maxFields = 1000

const isToken = 1
const isValue = 2
/** For each byte: may it stand in a field name (RFC 9110 section 5.6.2), may it stand in a field value (section 5.5). */
const byteClass = new Uint8Array(256)
for (let byte = 0x20; byte < 256; byte++) if (byte !== 0x7f) byteClass[byte] = isValue
byteClass[0x09] = isValue
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  byteClass[char.charCodeAt(0)] = isToken | isValue
}

const HT = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const colon = 0x3a

/** Where names and values lie in the section scanned last: four offsets per field. Used within one synchronous call only. */
const spans = new Int32Array(maxFields * 4)
let spanCount = 0

/** Scans field lines and the empty line that ends them; fills `spans`. Returns the offset after the empty line. */
export function scanFields(buffer: Uint8Array, start: number, end: number): number {
  let at = start
  spanCount = 0
  for (;;) {
    if (at >= end) return incomplete
    if (buffer[at] === CR) {
      if (at + 1 >= end) return incomplete
      return buffer[at + 1] === LF ? at + 2 : badField
    }
    const nameStart = at
    while (at < end && ((byteClass[buffer[at] as number] as number) & isToken) !== 0) at++
    if (at >= end) return incomplete
    if (buffer[at] !== colon || at === nameStart) return badField
    const nameEnd = at++
    while (at < end && (buffer[at] === SP || buffer[at] === HT)) at++
    const valueStart = at
    while (at < end && byteClass[buffer[at] as number] !== 0) at++
    if (at >= end) return incomplete
    if (buffer[at] !== CR) return badField
    if (at + 1 >= end) return incomplete
    if (buffer[at + 1] !== LF) return badField
    let valueEnd = at
    while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === HT)) valueEnd--
    at += 2
    if (spanCount === spans.length) return tooManyFields
    spans[spanCount++] = nameStart
    spans[spanCount++] = nameEnd
    spans[spanCount++] = valueStart
    spans[spanCount++] = valueEnd
  }
}

// "HTTP/1."
const versionPrefix = [0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e]

/** Reads a complete head from `start`; `incomplete` or a fault otherwise. A fault is found as soon as its byte is there. */
export function readHead(buffer: Buffer, start: number, end: number): ResponseHead | typeof incomplete | HeadFault {
  let at = start
  for (const byte of versionPrefix) {
    if (at >= end) return incomplete
    if (buffer[at++] !== byte) return badStatusLine
  }
  if (at >= end) return incomplete
  const minorVersion = (buffer[at++] as number) - 0x30
  if (minorVersion !== 0 && minorVersion !== 1) return badStatusLine
  if (at >= end) return incomplete
  if (buffer[at++] !== SP) return badStatusLine
  let status = 0
  for (const stop = at + 3; at < stop; at++) {
    if (at >= end) return incomplete
    const digit = (buffer[at] as number) - 0x30
    if (digit < 0 || digit > 9) return badStatusLine
    status = status * 10 + digit
  }
  // RFC 9110 section 15: values outside 100..599 are invalid; a client takes them for a server error.
  if (status < 100 || status > 599) return badStatus
  if (at >= end) return incomplete
  // The space before an empty reason phrase is often left out.
  if (buffer[at] === SP) at++
  else if (buffer[at] !== CR) return badStatusLine
  const textStart = at
  while (at < end && byteClass[buffer[at] as number] !== 0) at++
  if (at >= end) return incomplete
  if (buffer[at] !== CR) return badStatusLine
  if (at + 1 >= end) return incomplete
  if (buffer[at + 1] !== LF) return badStatusLine
  const textEnd = at
  const headEnd = scanFields(buffer, at + 2, end)
  if (headEnd < 0) return headEnd as typeof incomplete | HeadFault
  const text = buffer.toString('latin1', textStart, headEnd)
  const headers: string[] = []
  for (let span = 0; span < spanCount; span += 4) {
    headers.push(
      text.slice((spans[span] as number) - textStart, (spans[span + 1] as number) - textStart),
      text.slice((spans[span + 2] as number) - textStart, (spans[span + 3] as number) - textStart),
    )
  }
  return { end: headEnd, minorVersion, status, statusText: text.slice(0, textEnd - textStart), headers }
}

export function headFault(fault: number): string {
  switch (fault) {
    case badStatusLine:
      return 'malformed status line'
    case badStatus:
      return 'status code outside 100..599'
    case tooManyFields:
      return `more than ${maxFields} fields`
    default:
      return 'malformed field line'
  }
}
