import type { ResponseHead } from './http1-head.ts'

/** Where the body of an answer ends, RFC 9112 section 6.3. */
export type Framing = number | 'none' | 'chunked' | 'until-close'

export interface MessageFraming {
  /** A number is the Content-Length. */
  readonly body: Framing
  /** False when the connection cannot carry another request after this answer. */
  readonly persistent: boolean
  /** Seconds of `Keep-Alive: timeout=`, when the upstream announces one. */
  readonly keepAlive: number | undefined
}

const digits = /^[0-9]{1,15}$/
const timeoutParameter = /(?:^|[,;\s])timeout\s*=\s*"?([0-9]{1,6})/i

/**
 * Judges the framing fields. Returns the reason when they are ambiguous: such an answer ends elsewhere for another parser, and its rest would
 * be taken for the answer to somebody else's request (RFC 9112 section 11.2).
 */
export function frame(head: ResponseHead, headRequest: boolean): MessageFraming | string {
  const { headers, status } = head
  let length = -1
  let chunked = false
  // A persistent HTTP/1.0 connection needs both sides' Keep-Alive, and we never ask for one (RFC 9112 appendix C.2.2).
  let persistent = head.minorVersion === 1
  let keepAlive: number | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    switch (name.length) {
      case 10: {
        const lower = name.toLowerCase()
        if (lower === 'connection') {
          if (hasOption(headers[at + 1] as string, 'close')) persistent = false
        } else if (lower === 'keep-alive') {
          const seconds = timeoutParameter.exec(headers[at + 1] as string)?.[1]
          if (seconds !== undefined) keepAlive = Number(seconds)
        }
        break
      }
      case 14:
        if (name.toLowerCase() === 'content-length') {
          const value = headers[at + 1] as string
          if (length >= 0) return 'Content-Length twice'
          if (!digits.test(value)) return 'invalid Content-Length'
          length = Number(value)
        }
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          // We never offer another coding (TE), and one that chunked does not end has no framing at all.
          if (chunked || (headers[at + 1] as string).toLowerCase() !== 'chunked') return 'unsupported Transfer-Encoding'
          chunked = true
        }
        break
    }
  }
  if (chunked && length >= 0) return 'both Transfer-Encoding and Content-Length'
  if (chunked && head.minorVersion === 0) return 'Transfer-Encoding in an HTTP/1.0 answer'
  if (headRequest || status === 204 || status === 304) return { body: 'none', persistent, keepAlive }
  if (chunked) return { body: 'chunked', persistent, keepAlive }
  if (length >= 0) return { body: length, persistent, keepAlive }
  return { body: 'until-close', persistent: false, keepAlive }
}

/** Whether a comma-separated list of RFC 9110 section 5.6.1 holds `option`, given in lower case. */
function hasOption(list: string, option: string): boolean {
  if (list.length === option.length) return list.toLowerCase() === option
  return list
    .toLowerCase()
    .split(',')
    .some((item) => item.trim() === option)
}
