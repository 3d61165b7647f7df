import type { Socket } from 'node:net'
import { ProxyError, type ErrorCode } from '../errors.ts'
import { Connection } from './connection.ts'
import { problemMessage } from './problem.ts'

interface ParserError extends Error {
  readonly code?: string
  readonly bytesParsed?: number
  readonly rawPacket?: Buffer
}

/** What Node's strict HTTP parser did not take: answered in kind and closed, because nobody knows where the next request would begin. */
export function answerMalformed(
  error: ParserError,
  socket: Socket,
  ids: () => string,
  report: (error: ProxyError) => void,
): void {
  // The caller went away; there is nobody to answer.
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const problem = new ProxyError(codeFor(error), { cause: error })
  const running = Connection.of(socket).current
  if (running !== undefined) {
    // The fault is in the body of a request in progress (or behind it): that one is answered, if it still can be.
    running.break(problem)
    socket.destroySoon()
    return
  }
  report(problem)
  socket.end(problemMessage(problem, ids()))
  // end() alone would leave the reading side open to a caller that goes on sending.
  socket.destroySoon()
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
