import type { FastifyInstance } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Credentials } from '../tokens/credentials.ts'
import type { Metrics } from './metrics.ts'
import { statusDocument, type AdminInfo } from './status-document.ts'

interface StatusDeps {
  readonly credentials: Credentials
  readonly info: () => AdminInfo
  readonly metrics: Pick<Metrics, 'counts'>
  readonly clock: Clock
}

export function addStatusRoutes(app: FastifyInstance, { credentials, info, metrics, clock }: StatusDeps): void {
  app.get('/status', (_request, reply) => reply.send(statusDocument(info(), credentials.list())))
  // Loaded when somebody looks: most sidecars are never looked at.
  app.get('/', async (_request, reply) => {
    const [{ sendPage }, { statusPage }] = await Promise.all([import('./page.ts'), import('./status-page.ts')])
    return sendPage(
      reply,
      statusPage({ info: info(), credentials: credentials.list(), counts: metrics.counts, now: clock.now() }),
    )
  })
  app.get('/favicon.svg', async (_request, reply) => {
    const { icon } = await import('./icon.ts')
    return reply.type('image/svg+xml').header('cache-control', 'max-age=86400').send(icon)
  })
}
