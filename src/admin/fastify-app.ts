import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { describeError, ProxyError } from '../errors.ts'
import { withoutSchemas } from '../http/no-schemas.ts'
import { html } from './html.ts'
import { AdminError, adminProblem, sendProblem } from './problems.ts'
import { wantsJson, wantsPage } from './requests.ts'
import { tokenDocumentLimit } from './token-routes.ts'

/** The part of a pino logger that is used here. */
export interface AdminLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A person looks at this answer, unless JSON was asked for. */
    page?: boolean
  }
}

/** Sent with every answer; pages add their own Content-Security-Policy. Nothing here may be read or framed by another origin. */
const headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/**
 * What the admin address and the probes address have in common. Fastify's own request log is off: it would write the
 * query of /callback, which holds the authorization code.
 */
export function newApp(log: AdminLog): FastifyInstance {
  const app = Fastify({ ...withoutSchemas, bodyLimit: tokenDocumentLimit, genReqId: () => randomUUID() })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json(?:;|$)/,
    { parseAs: 'string' },
    (_request, body, done) => {
      // Clients send this type with every POST; a refresh has no body.
      if (body === '') {
        done(null, null)
        return
      }
      try {
        done(null, JSON.parse(String(body)))
      } catch {
        done(new AdminError('bad_document', 'The body is not valid JSON.'))
      }
    },
  )
  // The page's buttons: a form always says this type, and theirs have no fields.
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, _body, done) =>
    done(null),
  )
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
  app.setNotFoundHandler((request, reply) => {
    return answerError(new AdminError('not_found', 'The admin port has no such page; see GET /.'), request, reply)
  })
  app.setErrorHandler((error, request, reply) => {
    const { routeOptions, method, id } = request
    if (isFault(error))
      log.error(
        { requestId: id, method, route: routeOptions.url, reason: describeError(error) },
        'admin request failed',
      )
    return answerError(error, request, reply)
  })
  return app
}

async function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const problem = adminProblem(error, request.id)
  const page =
    request.method === 'GET' &&
    (wantsPage(request) || (request.routeOptions.config.page === true && !wantsJson(request)))
  if (!page) return sendProblem(reply, problem, error instanceof ProxyError ? error.retryAfter : undefined)
  reply.code(problem.status).header('bearer-sidecar-error', problem.code)
  const { messagePage, sendPage } = await import('./page.ts')
  return sendPage(reply, messagePage(problem.title, html`<p>${problem.detail}</p>`))
}

/** Errors that a person must see in the log: not those that the answer itself explains. */
function isFault(error: unknown): boolean {
  return adminProblem(error, '').status >= 500
}
