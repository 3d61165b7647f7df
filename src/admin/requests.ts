import type { FastifyRequest } from 'fastify'
import { ProxyError } from '../errors.ts'
import { UnknownCredential } from '../tokens/credentials.ts'
import type { CredentialInfo } from './status-document.ts'

export interface CredentialRequest {
  Params: { name: string }
  Querystring: { subject?: string | string[] }
}

/**
 * The credential and the subject that a path and its query name. A credential with a subjectHeader has tokens for its subjects only, any other
 * has no subjects: what was stored under the wrong one of the two would never be used.
 */
export function credentialOf(
  request: FastifyRequest<CredentialRequest>,
  known: readonly CredentialInfo[],
): { name: string; subject: string | undefined } {
  const { name } = request.params
  const { subject = '' } = request.query
  const header = known.find((one) => one.name === name)?.subjectHeader
  if (header === undefined) throw new UnknownCredential(name)
  if (Array.isArray(subject)) throw new ProxyError('bad_request', { detail: 'Give subject once.' })
  if (subject === '') {
    if (header === null) return { name, subject: undefined }
    throw new ProxyError('subject_required', {
      detail: `Add ?subject=ID: each value of ${header} has tokens of its own.`,
    })
  }
  if (header === null)
    throw new ProxyError('bad_request', { detail: 'This credential has no subjectHeader: leave subject out.' })
  return { name, subject }
}

/** Where the status page shows a credential. */
export function credentialAnchor(name: string): string {
  return `/#credential-${encodeURIComponent(name)}`
}

/** True for a browser that will show the answer to a person. */
export function wantsPage({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes('text/html') ?? false
}

/** True for a program that asked for JSON where a page is the rule. */
export function wantsJson(request: FastifyRequest): boolean {
  return !wantsPage(request) && (request.headers.accept?.includes('application/json') ?? false)
}
