import { connect } from 'node:net'
import { request as send, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { createMetrics } from '../../src/admin/metrics.ts'
import { readyReport } from '../../src/admin/probes.ts'
import { createAdmin, type AdminDeps } from '../../src/admin/server.ts'
import type { AdminInfo } from '../../src/admin/status-document.ts'
import { configSchema, type AdminConfig } from '../../src/config/schema.ts'
import {
  LoginError,
  UnknownCredential,
  type Credentials,
  type CredentialStatus,
  type LoginAttempt,
} from '../../src/tokens/credentials.ts'
import { TestClock } from '../helpers/clock.ts'

/** The instant at which every TestClock begins. */
export const start = Date.parse('2026-01-01T00:00:00Z')
export const minutes = (count: number) => new Date(start + count * 60_000).toISOString()

/** A credential that works, with an hour's token of which 52 minutes are left. */
export function working(changes: Partial<CredentialStatus> = {}): CredentialStatus {
  return {
    name: 'sky',
    provider: 'blackbaud-sky',
    state: 'active',
    accessTokenExpiresAt: minutes(52),
    refreshTokenExpiresAt: minutes(212 * 24 * 60),
    lastRefresh: { at: minutes(-8), reason: 'expiry', outcome: 'success' },
    unsaved: false,
    lastError: null,
    nextStep: null,
    accessTokenIssuedAt: minutes(-8),
    retryAt: null,
    refreshable: true,
    usable: true,
    history: [{ at: start - 480_000, reason: 'expiry', outcome: 'success' }],
    ...changes,
  }
}

/** Nobody has logged in. */
export function empty(changes: Partial<CredentialStatus> = {}): CredentialStatus {
  return working({
    state: 'login_required',
    accessTokenExpiresAt: null,
    accessTokenIssuedAt: null,
    refreshTokenExpiresAt: null,
    lastRefresh: null,
    refreshable: false,
    usable: false,
    history: [],
    ...changes,
  })
}

/** Stands in for src/tokens: remembers what it was asked and answers what the test put in. */
export class FakeCredentials implements Credentials {
  statuses: CredentialStatus[]
  readonly calls: unknown[][] = []
  /** Thrown by the next call that would change something. */
  failure: Error | undefined
  loginUrl = 'https://provider.example/authorize?client_id=id&state=s1'
  #states = new Map<string, string>()

  constructor(...statuses: CredentialStatus[]) {
    this.statuses = statuses
  }

  list(): CredentialStatus[] {
    return this.statuses
  }

  status(name: string, subject?: string): Promise<CredentialStatus> {
    const found = this.statuses.find((status) => status.name === name)
    if (found === undefined) return Promise.reject(new UnknownCredential(name))
    return Promise.resolve(subject === undefined ? found : { ...found, subject })
  }

  async accessToken(name: string, subject?: string): Promise<string> {
    await this.#called('accessToken', name, subject)
    return `access-token-of-${name}`
  }

  refresh(name: string, subject?: string): Promise<CredentialStatus> {
    return this.#called('refresh', name, subject)
  }

  adopt(
    name: string,
    subject: string | undefined,
    document: string | Readonly<Record<string, unknown>>,
  ): Promise<CredentialStatus> {
    return this.#called('adopt', name, subject, document)
  }

  async forget(name: string, subject?: string): Promise<void> {
    await this.#called('forget', name, subject)
  }

  async export(name: string, subject?: string): Promise<Record<string, unknown>> {
    await this.#called('export', name, subject)
    return { access_token: `access-token-of-${name}`, refresh_token: `refresh-token-of-${name}` }
  }

  async beginLogin(name: string, subject?: string): Promise<LoginAttempt> {
    await this.#called('beginLogin', name, subject)
    const state = new URL(this.loginUrl).searchParams.get('state') ?? ''
    this.#states.set(state, name)
    return { url: this.loginUrl, state }
  }

  finishLogin(callback: URLSearchParams): Promise<{ name: string; subject?: string }> {
    return new Promise((resolve) => {
      resolve(this.#finish(callback))
    })
  }

  #finish(callback: URLSearchParams): { name: string; subject?: string } {
    this.calls.push(['finishLogin', callback.toString()])
    if (this.failure) throw this.failure
    const name = this.#states.get(callback.get('state') ?? '')
    if (name === undefined)
      throw new LoginError('This login is not known: it was finished already or is older than ten minutes.')
    this.#states.delete(callback.get('state') ?? '')
    if (callback.has('error')) throw new LoginError('The provider did not grant access (access_denied).')
    this.statuses = this.statuses.map((status) => (status.name === name ? working({ name }) : status))
    return { name }
  }

  async #called(...call: [string, string, ...unknown[]]): Promise<CredentialStatus> {
    this.calls.push(call)
    const status = await this.status(call[1], call[2] as string | undefined)
    if (this.failure) throw this.failure
    return status
  }
}

export function adminConfig(changes: object = {}): AdminConfig {
  return configSchema.parse({ version: 1, admin: { listen: '127.0.0.1:0', ...changes } }).admin
}

export const info: AdminInfo = {
  version: '1.2.3',
  startedAt: minutes(-60),
  routes: [{ path: '/', name: 'all', credentials: ['sky'], upstreamOrigin: 'https://api.sky.blackbaud.com' }],
  credentials: [{ name: 'sky', title: 'Blackbaud SKY API', grant: 'authorization_code', subjectHeader: null }],
  store: { type: 'file', description: 'file /var/lib/tokens, sealed', ok: true, error: null },
}

/** The same, with a credential that has a token set per subject. */
export const perSubject: AdminInfo = {
  ...info,
  credentials: [{ ...info.credentials[0]!, subjectHeader: 'X-Customer' }],
}

export interface StartedAdmin {
  readonly url: string
  readonly probesUrl: string | undefined
  readonly deps: AdminDeps
  readonly clock: TestClock
  /** Every line that was logged, as JSON. */
  readonly logged: string[]
  readonly close: (grace?: number) => Promise<void>
}

/** A real admin server on a free port, closed after the test. */
export async function startAdmin(
  t: Pick<TestContext, 'after'>,
  credentials: Credentials,
  changes: Partial<AdminDeps> = {},
): Promise<StartedAdmin> {
  const clock = new TestClock()
  const logged: string[] = []
  const log = (fields: object, message: string) => void logged.push(JSON.stringify({ ...fields, message }))
  const list = () => credentials.list()
  const deps: AdminDeps = {
    config: adminConfig(),
    credentials,
    info: () => info,
    started: () => true,
    ready: () => readyReport(list(), { started: true, stopping: false }),
    metrics: createMetrics('1.2.3', list),
    clock,
    log: { info: log, error: log },
    ...changes,
  }
  const server = await createAdmin(deps)
  t.after(() => server.close(0))
  const bound = await server.listen()
  return {
    url: bound.admin[0]?.url ?? '',
    probesUrl: bound.probes[0]?.url,
    deps,
    clock,
    logged,
    close: (grace) => server.close(grace),
  }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly json: () => Record<string, unknown>
}

/** One request with exactly these headers, Host and Origin included, which fetch() would not let a test choose. */
export function call(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; socketPath?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body, socketPath } = options
  return new Promise((resolve, reject) => {
    const outgoing = send(
      url,
      { method, headers, agent: false, ...(socketPath !== undefined && { socketPath }) },
      (response) => {
        text(response).then(
          (received) =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: received,
              json: () => JSON.parse(received) as Record<string, unknown>,
            }),
          reject,
        )
      },
    )
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

/** The status that these very bytes are answered with. */
export async function statusOf(url: string, head: string[]): Promise<number> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.end(`${head.join('\r\n')}\r\n\r\n`)
  return Number((await text(socket)).split(' ')[1])
}
