import type { OutgoingHttpHeaders } from 'node:http2'
import type { UpstreamHead, UpstreamRequest } from './upstream.ts'

/** RFC 9113 section 8.2.2: what describes a connection has no place in HTTP/2. */
const connectionFields = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'te',
])
const digits = /^[0-9]{1,15}$/

/** The request as RFC 9113 section 8.3.1 wants it: Host becomes :authority, names are lower case, repeated fields stay repeated. */
export function requestFields(request: UpstreamRequest): OutgoingHttpHeaders {
  const { method, target, headers, body } = request
  const fields: OutgoingHttpHeaders = Object.create(null) as OutgoingHttpHeaders
  fields[':method'] = method
  fields[':scheme'] = 'https'
  fields[':authority'] = headers[1]
  fields[':path'] = target
  for (let at = 2; at < headers.length; at += 2) {
    const name = (headers[at] as string).toLowerCase()
    const value = headers[at + 1] as string
    if (connectionFields.has(name)) continue
    const before = fields[name]
    if (before === undefined) fields[name] = value
    else if (Array.isArray(before)) before.push(value)
    else fields[name] = [String(before), value]
  }
  const length = Buffer.isBuffer(body) ? body.length : body?.length
  if (length !== undefined) fields['content-length'] = String(length)
  return fields
}

/** The head of an answer, or what is wrong with it. `endStream`: no body follows. */
export function responseHead(method: string, raw: readonly string[], endStream: boolean): UpstreamHead | string {
  const headers: string[] = []
  let status = 0
  let length: number | undefined
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] as string
    const value = raw[at + 1] as string
    if (name === ':status') {
      status = Number(value)
    } else if (!name.startsWith(':')) {
      headers.push(name, value)
      if (name === 'content-length') {
        if (length !== undefined) return 'Content-Length twice'
        if (!digits.test(value)) return 'invalid Content-Length'
        length = Number(value)
      }
    }
  }
  if (!(status >= 200 && status <= 599)) return 'status code outside 200..599'
  const hasBody = method !== 'HEAD' && status !== 204 && status !== 304
  if (!hasBody) length = undefined
  else if (endStream) length ??= 0
  return { status, statusText: '', headers, length, hasBody }
}
