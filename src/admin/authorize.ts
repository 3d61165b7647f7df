import type { FastifyInstance } from 'fastify'
import type { Credentials } from '../tokens/credentials.ts'
import type { AdminLog } from './fastify-app.ts'
import { isForeign } from './guard.ts'
import { html } from './html.ts'
import { credentialAnchor, credentialOf, wantsJson, type CredentialRequest } from './requests.ts'
import type { AdminInfo } from './status-document.ts'

interface LoginRouteDeps {
  readonly credentials: Credentials
  readonly info: () => AdminInfo
  readonly log: AdminLog
}

/**
 * A person logs in: out to the provider, back with a code. The state is unguessable, bound to its attempt and good once; it is
 * handed only to whoever can call this port, so a stranger can't slip in a code of an account of his own (RFC 6749 section 10.12).
 * It is deliberately not bound to one browser by a cookie: the redirected address may be pasted into the CLI, and a login that the
 * CLI began is finished by whichever browser opened it.
 */
export function addLoginRoutes(app: FastifyInstance, { credentials, info, log }: LoginRouteDeps): void {
  app.get<CredentialRequest>('/credentials/:name/authorize', async (request, reply) => {
    const { name, subject } = credentialOf(request, info().credentials)
    // A link on a foreign page must not replace a grant where the provider asks no question: a person presses the button.
    if (isForeign(request.raw)) return reply.redirect(credentialAnchor(name), 303)
    const { url } = await credentials.beginLogin(name, subject)
    return reply.redirect(url, 302)
  })

  // Errors go to the server's error handler, which answers with a page as well: see `page` there.
  app.get('/callback', { config: { page: true } }, async (request, reply) => {
    const { search } = new URL(request.raw.url ?? '/', 'http://localhost')
    const { name, subject } = await credentials.finishLogin(new URLSearchParams(search))
    log.info({ credential: name }, 'login finished')
    if (wantsJson(request)) return reply.send({ name, subject })
    const { messagePage, sendPage } = await import('./page.ts')
    const text = html`<p><strong>${name}</strong> has new tokens. You can close this window.</p>`
    return sendPage(reply, messagePage('Connected', text, credentialAnchor(name)))
  })
}
