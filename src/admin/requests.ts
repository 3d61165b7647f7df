import type { FastifyRequest } from 'fastify'
import { ProxyError } from '../errors.ts'

export interface CredentialRequest {
  Params: { name: string }
  Querystring: { subject?: string | string[] }
}

/** The credential and the subject that a path and its query name. */
export function credentialOf(request: FastifyRequest<CredentialRequest>): {
  name: string
  subject: string | undefined
} {
  const { subject } = request.query
  if (Array.isArray(subject)) throw new ProxyError('bad_request', { detail: 'Give subject once.' })
  return { name: request.params.name, subject: subject === '' ? undefined : subject }
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
