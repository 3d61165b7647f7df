import type { FastifyInstance } from 'fastify'
import { ProxyError, type ErrorCode } from '../errors.ts'
import { LoginError, type Credentials } from '../tokens/credentials.ts'
import { AdminError, adminProblem, sendProblem } from './problems.ts'
import { credentialAnchor, credentialOf, wantsPage, type CredentialRequest } from './requests.ts'
import { credentialDocument, type AdminInfo } from './status-document.ts'

/** A refresh or access token is a few hundred bytes, a JWT a few thousand; the largest sensible document is far below. */
export const tokenDocumentLimit = 64 * 1024

interface TokenRouteDeps {
  readonly credentials: Credentials
  readonly info: () => AdminInfo
}

const noTokenCame: ReadonlySet<ErrorCode> = new Set([
  'login_required',
  'reauthorization_required',
  'token_endpoint_unavailable',
  'store_unavailable',
])

/** Refresh, import and forget. Same-origin protection is the guard's work and was done before. */
export function addTokenRoutes(app: FastifyInstance, { credentials, info }: TokenRouteDeps): void {
  app.post<CredentialRequest>('/credentials/:name/refresh', async (request, reply) => {
    const { name, subject } = credentialOf(request, info().credentials)
    try {
      const status = await credentials.refresh(name, subject)
      if (!wantsPage(request)) return await reply.send(credentialDocument(status))
    } catch (error) {
      if (!(error instanceof ProxyError && noTokenCame.has(error.code))) throw error
      // 502 whatever the reason was; code and detail tell it as the proxy port would.
      const problem = { ...adminProblem(error, request.id), status: 502 }
      if (!wantsPage(request)) return sendProblem(reply, problem, error.retryAfter)
    }
    // A form without JavaScript goes back to the page either way: the page says what is wrong.
    return reply.redirect(credentialAnchor(name), 303)
  })

  app.put<CredentialRequest & { Body: unknown }>('/credentials/:name/token', async (request, reply) => {
    const { name, subject } = credentialOf(request, info().credentials)
    const { body } = request
    if (body === undefined)
      throw new AdminError('unsupported_media_type', 'Send the token response as application/json.')
    if (!isObject(body)) {
      throw new AdminError(
        'bad_document',
        'The body must be a JSON object: a token response, or the refresh token alone in it.',
      )
    }
    try {
      return await reply.send(credentialDocument(await credentials.adopt(name, subject, body)))
    } catch (error) {
      if (error instanceof LoginError) throw new AdminError('bad_document', error.message, error)
      throw error
    }
  })

  app.delete<CredentialRequest>('/credentials/:name/token', async (request, reply) => {
    const { name, subject } = credentialOf(request, info().credentials)
    await credentials.forget(name, subject)
    return reply.code(204).send()
  })
}

function isObject(body: unknown): body is Record<string, unknown> {
  return typeof body === 'object' && body !== null && !Array.isArray(body)
}
