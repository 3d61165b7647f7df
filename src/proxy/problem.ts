import type { ServerResponse } from 'node:http'
import { http } from '../builtins.ts'
import { problemDocument, type ProxyError } from '../errors.ts'
import type { RequestRecord } from './request-record.ts'

/** RFC 9110 section 15.5.6 wants a list in every 405; these are the methods that a route forwards unless it names its own. */
const forwardable = http.METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE').join(', ')

/** Header list and body of an answer of our own (RFC 9457), for a response and for a bare socket alike. */
function problem(error: ProxyError, requestId: string, close: boolean): { headers: string[]; body: string } {
  const body = JSON.stringify(problemDocument(error, requestId))
  const headers = ['Content-Type', 'application/problem+json', 'Content-Length', String(Buffer.byteLength(body))]
  // Nothing of ours may be kept by a cache between caller and sidecar: the next answer may be the upstream's.
  headers.push('Cache-Control', 'no-store', 'Bearer-Sidecar-Error', error.code)
  if (error.retryAfter !== undefined) headers.push('Retry-After', String(Math.max(1, Math.ceil(error.retryAfter))))
  if (error.statusCode === 405) headers.push('Allow', error.allow?.join(', ') ?? forwardable)
  // RFC 9110 section 15.5.22: what to upgrade to. This is for a caller that asked for it on a route that has it not.
  const upgrade = error.statusCode === 426
  if (upgrade) headers.push('Upgrade', 'websocket')
  if (upgrade || close) headers.push('Connection', [upgrade ? 'Upgrade' : [], close ? 'close' : []].flat().join(', '))
  return { headers, body }
}

/** Answers with `record.error`. */
export function sendProblem(response: ServerResponse, record: RequestRecord, close: boolean): void {
  const { error } = record
  if (error === undefined) return
  const { headers, body } = problem(error, record.requestId, close || !response.shouldKeepAlive)
  record.status = error.statusCode
  response.writeHead(error.statusCode, headers)
  response.end(body)
}

/** The same answer as bytes, for a socket on which there is no request to answer. It always closes the connection. */
export function problemMessage(error: ProxyError, requestId: string): string {
  const { headers, body } = problem(error, requestId, true)
  let head = `HTTP/1.1 ${error.statusCode} ${http.STATUS_CODES[error.statusCode] ?? ''}\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}\r\n${body}`
}
