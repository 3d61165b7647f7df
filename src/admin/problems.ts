import type { FastifyReply } from 'fastify'
import { problemDocument, ProxyError } from '../errors.ts'
import { StoreError } from '../stores/token-store.ts'
import { LoginError, UnknownCredential } from '../tokens/credentials.ts'

/** The answers that only the admin port gives, beside those of errors.ts. */
const adminProblems = {
  unknown_credential: { status: 404, title: 'Unknown credential' },
  not_found: { status: 404, title: 'Not found' },
  bad_document: { status: 400, title: 'Bad token document' },
  body_too_large: { status: 413, title: 'Body too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  login_failed: { status: 400, title: 'Login failed' },
} as const

export type AdminErrorCode = keyof typeof adminProblems

/** `detail` must be safe to show: no secret, no address of a token endpoint. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly code: AdminErrorCode

  constructor(code: AdminErrorCode, detail: string, cause?: unknown) {
    super(detail, { cause })
    this.code = code
  }
}

/** What goes on the wire: the document of RFC 9457 with the two extension members that the proxy port has too. */
export interface AdminProblem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly requestId: string
}

/** Turns whatever was thrown into an answer; only errors that are meant for people keep their text. */
export function adminProblem(error: unknown, requestId: string): AdminProblem {
  if (error instanceof AdminError) return describe(error.code, error.message, requestId)
  if (error instanceof ProxyError) return problemDocument(error, requestId)
  if (error instanceof LoginError) return describe('login_failed', error.message, requestId)
  if (error instanceof StoreError) {
    return problemDocument(new ProxyError('store_unavailable', { detail: error.message }), requestId)
  }
  if (error instanceof UnknownCredential) {
    return describe('unknown_credential', 'No credential of this name is configured; see GET /status.', requestId)
  }
  const status = fastifyStatus(error)
  if (status === 413) return describe('body_too_large', 'A token document has at most 64 KiB.', requestId)
  if (status === 415) {
    return describe('unsupported_media_type', 'Send the token response as application/json.', requestId)
  }
  if (status === 400)
    return problemDocument(new ProxyError('bad_request', { detail: 'The request is malformed.' }), requestId)
  return problemDocument(new ProxyError('internal_error'), requestId)
}

function describe(code: AdminErrorCode, detail: string, requestId: string): AdminProblem {
  const { status, title } = adminProblems[code]
  return { type: `urn:bearer-sidecar:error:${code}`, title, status, detail, code, requestId }
}

function fastifyStatus(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined
}

/** `retryAfter` in seconds. */
export function sendProblem(reply: FastifyReply, problem: AdminProblem, retryAfter?: number): FastifyReply {
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  return (
    reply
      .code(problem.status)
      .header('bearer-sidecar-error', problem.code)
      .header('content-type', 'application/problem+json')
      // As bytes, because Fastify adds a charset to texts, and this media type has none (RFC 9457 section 6).
      .send(Buffer.from(JSON.stringify(problem)))
  )
}
