import { credentialDocument, credentialStatus, type StatusDocument } from '../admin/status-document.ts'
import { durationInWords } from '../durations.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'
import { columns } from './columns.ts'
import { exitCode } from './command-failure.ts'
import type { Io } from './io.ts'
import { processDeps, withSession, type CommandDeps, type CommandOptions, type Session } from './session.ts'
import { painter, type Tone } from './text-style.ts'
import { accessTokenWords, refreshTokenWords } from './token-words.ts'
import { version } from './version.ts'

/** A terminal is no place for ten thousand rows; --json has them all. */
const maxSubjects = 20

const tones: Readonly<Record<CredentialStatus['state'], Tone>> = {
  active: 'good',
  degraded: 'warn',
  login_required: 'bad',
  reauthorization_required: 'bad',
}

/** Shows every credential. Exit code 4 when one needs a person; like readiness, subjects don't count. */
export function status(
  options: CommandOptions & { readonly json?: boolean },
  io: Io,
  deps: CommandDeps = processDeps,
): Promise<number> {
  return withSession(options, io, deps, async (session) => {
    const document = session.sidecar === undefined ? await storedStatus(session) : await session.sidecar.status()
    if (options.json === true) io.stdout(`${JSON.stringify(document, null, 2)}\n`)
    else io.stdout(`${table(document, session, io, deps.clock.now()).join('\n')}\n`)
    const waiting = document.credentials.some((one) => one.subject === undefined && needsLogin(one))
    return waiting ? exitCode.loginNeeded : exitCode.ok
  })
}

const needsLogin = ({ state }: { state: CredentialStatus['state'] }) =>
  state === 'login_required' || state === 'reauthorization_required'

/** The same document as GET /status, made from the store. */
async function storedStatus(session: Session): Promise<StatusDocument> {
  const { credentials, description } = await session.store()
  const list = await Promise.all(Object.keys(session.config.credentials).map((name) => credentials.status(name)))
  const { store, routes } = session.config
  return {
    version,
    startedAt: null,
    credentials: list.map(credentialDocument),
    routes: routes.map(({ path, name, credential, upstream }) => ({
      path,
      name: name ?? path,
      credentials: typeof credential === 'string' ? [credential] : credential,
      upstreamOrigin: new URL(upstream).origin,
    })),
    store: { type: store.type, description, ok: true, error: null },
  }
}

function table(document: StatusDocument, { sidecar }: Session, io: Io, now: number): string[] {
  const paint = painter(io)
  const all = document.credentials.map(credentialStatus)
  const subjects = all.filter(({ subject }) => subject !== undefined)
  const shown = [
    ...all.filter(({ subject }) => subject === undefined),
    ...subjects.filter(needsLogin).slice(0, maxSubjects),
  ]
  const header = ['CREDENTIAL', 'STATE', 'ACCESS TOKEN', 'REFRESH TOKEN', 'LAST REFRESH'].map((title) =>
    paint('quiet', title),
  )
  const rows = shown.map((status) => [
    paint('strong', status.subject === undefined ? status.name : `${status.name} (${status.subject})`),
    paint(tones[status.state], status.state.replaceAll('_', ' ')),
    accessTokenWords(status, now),
    refreshTokenWords(status, now),
    lastRefresh(status, now),
  ])
  const [titles = '', ...lines] = columns([header, ...rows])
  const { store, startedAt } = document
  const up = startedAt === null ? '' : `, up ${durationInWords(now - Date.parse(startedAt))}`
  const source =
    sidecar === undefined
      ? 'No sidecar answers; read from the store.'
      : `Running sidecar ${document.version} at ${sidecar.address}${up}.`
  return [
    ...(rows.length === 0 ? ['No credential is configured.'] : [titles]),
    ...shown.flatMap((status, index) => [lines[index] ?? '', ...advice(status, paint)]),
    ...(subjects.length > 0
      ? [
          '',
          `${subjects.length.toLocaleString('en')} subjects in memory; those that need a login are shown, --json has all.`,
        ]
      : []),
    '',
    paint('quiet', source),
    store.ok
      ? paint('quiet', `Store: ${store.description}`)
      : paint('bad', `Store: ${store.description}: ${store.error ?? 'not available'}`),
  ]
}

function lastRefresh({ lastRefresh }: CredentialStatus, now: number): string {
  if (lastRefresh === null) return '-'
  const { at, outcome } = lastRefresh
  return `${durationInWords(now - Date.parse(at))} ago${outcome === 'success' ? '' : outcome === 'fatal' ? ', refused' : ', failed'}`
}

/** What is wrong and what to do, under the row that it is about. */
function advice({ lastError, nextStep }: CredentialStatus, paint: ReturnType<typeof painter>): string[] {
  return [lastError !== null && `  ${lastError}`, nextStep !== null && `  ${paint('strong', nextStep)}`].filter(
    (line) => line !== false,
  )
}
