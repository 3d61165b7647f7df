import type { UpstreamRequest } from './upstream.ts'

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// A char above 0xff would be cut to its low byte on the wire: U+010A would become a line feed.
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
const targetBytes = /^[\x21-\x7e\x80-\xff]+$/

/**
 * The last look at a request before it becomes bytes. What could end a line or start another message is never sent; it would be a fault of
 * this program, not of the upstream, hence a TypeError and no UpstreamError. No value is shown: it may be a credential.
 */
export function checkRequest(request: UpstreamRequest): void {
  const { method, target, headers } = request
  // CONNECT would turn the connection into a tunnel and change how its answer is framed.
  if (!token.test(method) || method === 'CONNECT') throw new TypeError('Invalid request method')
  if (!targetBytes.test(target) || (!target.startsWith('/') && !(target === '*' && method === 'OPTIONS'))) {
    throw new TypeError('The request target is not in origin-form')
  }
  if (headers.length % 2 !== 0) throw new TypeError('The header list has a name without a value')
  if (headers.length === 0 || !isHost(headers[0] as string))
    throw new TypeError('The header list does not begin with Host')
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    if (!token.test(name)) throw new TypeError('Invalid header name')
    if (!fieldValue.test(headers[at + 1] as string)) throw new TypeError(`Invalid value of header ${name}`)
    switch (name.length) {
      case 4:
        if (at > 0 && isHost(name)) throw new TypeError('Host twice')
        break
      case 7:
      case 10:
      case 14:
      case 17:
        if (framing.has(name.toLowerCase())) throw new TypeError(`Header ${name} is written by the client itself`)
        break
    }
  }
}

const framing = new Set(['upgrade', 'connection', 'content-length', 'transfer-encoding'])

function isHost(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === 'host'
}

/** RFC 9110 section 9.2.2, without TRACE, which nobody may send here. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** Whether the one second try of Upstream.send() is allowed. */
export function isRetryable(request: UpstreamRequest): boolean {
  const { body } = request
  return idempotent.has(request.method) && (body === undefined || (Buffer.isBuffer(body) && body.length === 0))
}
