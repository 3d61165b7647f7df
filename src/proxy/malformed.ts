import type { Socket } from 'node:net'
import { ProxyError, type ErrorCode } from '../errors.ts'
import { Connection } from './connection.ts'
import { problemMessage } from './problem.ts'

interface ParserError extends Error {
  readonly code?: string
  readonly bytesParsed?: number
  readonly rawPacket?: Buffer
}

/** What Node's strict HTTP parser did not take: answered in kind and closed, but not before the requests ahead of it were answered. */
export function answerMalformed(
  error: ParserError,
  socket: Socket,
  ids: () => string,
  report: (error: ProxyError) => void,
): void {
  const connection = Connection.of(socket)
  // The caller went away; there is nobody to answer. Nor is there behind half a request on top of a whole one: without the half it is the same.
  const left = error.code === 'HPE_INVALID_EOF_STATE' && connection.busy && !connection.uploading
  if (left || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  // What follows a request with Connection: close is ignored (RFC 9112 section 9.6).
  if (error.code === 'HPE_CLOSED_CONNECTION') {
    connection.end()
    return
  }
  // The caller would go on if it were read from.
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && connection.paused) return
  const problem = new ProxyError(codeFor(error), { cause: error })
  connection.break(problem, () => answerLast(problem, socket, ids, report))
}

/** The answer to what was no request, on a connection without one. */
export function answerLast(
  problem: ProxyError,
  socket: Socket,
  ids: () => string,
  report: (error: ProxyError) => void,
): void {
  report(problem)
  socket.end(problemMessage(problem, ids()))
}

function codeFor(error: ParserError): ErrorCode {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  if (error.code === 'HPE_INVALID_METHOD' && isRequestLine(error)) return 'method_not_allowed'
  return 'bad_request'
}

/** A method that the parser does not know (TRACK) in front of an otherwise sound request line. */
function isRequestLine({ rawPacket, bytesParsed = 0 }: ParserError): boolean {
  const text = rawPacket?.toString('latin1') ?? ''
  const line = text.slice(text.lastIndexOf('\n', Math.max(0, bytesParsed - 1)) + 1)
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP\/1\.[01]\r\n/.test(line)
}
