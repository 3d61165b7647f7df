import type { FastifyInstance } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Credentials } from '../tokens/credentials.ts'
import { icon } from './icon.ts'
import type { Metrics } from './metrics.ts'
import { sendPage } from './page.ts'
import { statusDocument, type AdminInfo } from './status-document.ts'
import { statusPage } from './status-page.ts'

interface StatusDeps {
  readonly credentials: Credentials
  readonly info: () => AdminInfo
  readonly metrics: Pick<Metrics, 'counts'>
  readonly clock: Clock
}

export function addStatusRoutes(app: FastifyInstance, { credentials, info, metrics, clock }: StatusDeps): void {
  app.get('/status', (_request, reply) => reply.send(statusDocument(info(), credentials.list())))
  app.get('/', (_request, reply) => {
    return sendPage(
      reply,
      statusPage({ info: info(), credentials: credentials.list(), counts: metrics.counts, now: clock.now() }),
    )
  })
  app.get('/favicon.svg', (_request, reply) =>
    reply.type('image/svg+xml').header('cache-control', 'max-age=86400').send(icon),
  )
}
