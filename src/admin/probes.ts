import type { FastifyInstance } from 'fastify'
import type { CredentialStatus } from '../tokens/credentials.ts'
import { expositionType } from './exposition.ts'
import type { Metrics } from './metrics.ts'

/** One reason for not being ready. */
export interface ReadyProblem {
  /** What it is about; left out when it is the process as a whole. */
  readonly credential?: string
  readonly problem: 'starting' | 'shutting_down' | 'no_usable_token' | 'unsaved'
  /** One sentence without a secret. */
  readonly message: string
  readonly nextStep?: string
}

export interface ReadyReport {
  readonly ready: boolean
  readonly problems: readonly ReadyProblem[]
}

/**
 * Ready when every credential has, or can get, a usable token and its last save succeeded. Subjects don't count: one
 * tenant without a login must not take the others out of service.
 */
export function readyReport(
  credentials: readonly CredentialStatus[],
  process: { readonly started: boolean; readonly stopping: boolean },
): ReadyReport {
  const problems: ReadyProblem[] = []
  if (!process.started) problems.push({ problem: 'starting', message: 'The proxy port does not listen yet.' })
  if (process.stopping) problems.push({ problem: 'shutting_down', message: 'The process is shutting down.' })
  for (const credential of credentials) if (credential.subject === undefined) problems.push(...problemsOf(credential))
  return { ready: problems.length === 0, problems }
}

function problemsOf({ name, state, usable, unsaved, lastError, nextStep }: CredentialStatus): ReadyProblem[] {
  const step = nextStep === null ? {} : { nextStep }
  const problems: ReadyProblem[] = []
  if (!usable) {
    const message = lastError ?? (state === 'login_required' ? 'Nobody has logged in yet.' : 'No usable token.')
    problems.push({ credential: name, problem: 'no_usable_token', message, ...step })
  }
  if (unsaved) {
    const message = lastError ?? 'The newest tokens are held in memory only: the last save to the store failed.'
    problems.push({ credential: name, problem: 'unsaved', message, ...step })
  }
  return problems
}

/** What the probes and /metrics are answered from. */
export interface Probes {
  /** True once config and store are loaded and the proxy port listens, whatever the tokens' state: a person must be able to log in. */
  readonly started: () => boolean
  readonly ready: () => ReadyReport
  readonly metrics: Pick<Metrics, 'render'>
}

/** Liveness never depends on provider, upstream or store: a restart would not mend them and would drop callers. */
export function addProbes(app: FastifyInstance, { started, ready, metrics }: Probes): void {
  app.get('/livez', (_request, reply) => reply.send({ status: 'ok' }))
  app.get('/startupz', (_request, reply) => {
    return started() ? reply.send({ status: 'ok' }) : reply.code(503).send({ status: 'starting' })
  })
  app.get('/readyz', (_request, reply) => {
    const { ready: isReady, problems } = ready()
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ok' : 'not ready', problems })
  })
  app.get('/metrics', (_request, reply) => reply.type(expositionType).send(metrics.render()))
}
