import { durationInWords } from '../durations.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'
import { credentialCard } from './credential-card.ts'
import { html, type Html } from './html.ts'
import type { RouteCounts } from './metrics.ts'
import type { Page } from './page.ts'
import { needsLogin } from './state-badge.ts'
import type { AdminInfo } from './status-document.ts'

/** All that the page shows; it is a pure function of this. */
export interface StatusView {
  readonly info: AdminInfo
  readonly credentials: readonly CredentialStatus[]
  readonly counts: (route: string) => RouteCounts
  /** Milliseconds since the epoch. */
  readonly now: number
}

export function statusPage(view: StatusView): Page {
  const { info, now } = view
  const own = view.credentials.filter(({ subject }) => subject === undefined)
  const headline = headlineOf(own)
  const body = html`<p class="unseen" id="announcer" role="status"></p>
    <p class="offline" id="offline" role="alert" hidden>
      The sidecar does not answer. What you see may be out of date; trying again.
    </p>
    <header class="top"><img src="/favicon.svg" alt="" /><b>bearer-sidecar</b><span>${info.version}</span></header>
    <main>
      <div class="overview" id="overview" data-live>
        <h1>${headline}</h1>
        <p>${remarks(view.credentials)} Running for ${durationInWords(now - Date.parse(info.startedAt))}.</p>
      </div>
      ${own.map((status) => credentialCard(cardOf(status, view)))}
      ${own.length === 0 && html`<p>Write one under <code>credentials</code> in the config file.</p>`}
      <h2 class="section" id="routes-title">Routes</h2>
      ${routeTable(view)}
      <h2 class="section">Token store</h2>
      <div id="store" data-live>${storeLine(info.store)}</div>
    </main>
    <footer class="bottom">
      <a href="/status">Status as JSON</a><a href="/readyz">Readiness</a><a href="/metrics">Metrics</a>
    </footer>`
  return { title: `${headline} - bearer-sidecar`, body, live: true }
}

/** The credentials that the headline is about: those that need a person, else those with trouble, else all. */
function concerned(credentials: readonly CredentialStatus[]): readonly CredentialStatus[] {
  const waiting = credentials.filter(({ state }) => needsLogin(state))
  const degraded = credentials.filter(({ state }) => state === 'degraded')
  return waiting.length > 0 ? waiting : degraded.length > 0 ? degraded : credentials
}

function headlineOf(credentials: readonly CredentialStatus[]): string {
  const [first, ...others] = concerned(credentials)
  if (first === undefined) return 'No credential is configured'
  const many = others.length > 0
  const who = many ? `${others.length + 1} credentials` : first.name
  if (needsLogin(first.state)) return `${who} ${many ? 'need' : 'needs'} a login`
  if (first.state === 'degraded') return `${who} ${many ? 'have' : 'has'} trouble`
  return many ? `All ${who} are working` : `${who} is working`
}

/** What the headline leaves out: which credentials, and the subjects that need a person. */
function remarks(credentials: readonly CredentialStatus[]): string {
  const own = credentials.filter(({ subject }) => subject === undefined)
  const names = concerned(own)
  const sentences =
    names.length > 1 && names.length < own.length ? [`${names.map(({ name }) => name).join(', ')}.`] : []
  for (const { name } of own) {
    const waiting = credentials.filter(
      (one) => one.name === name && one.subject !== undefined && needsLogin(one.state),
    ).length
    if (waiting > 0)
      sentences.push(
        `${waiting === 1 ? 'A subject' : `${waiting.toLocaleString('en')} subjects`} of ${name} ${waiting === 1 ? 'needs' : 'need'} a login.`,
      )
  }
  return sentences.join(' ')
}

function cardOf(
  status: CredentialStatus,
  { info, credentials, counts, now }: StatusView,
): Parameters<typeof credentialCard>[0] {
  const { name, provider } = status
  const known = info.credentials.find((one) => one.name === name)
  const routes = info.routes.filter((route) => route.credentials.includes(name)).map((route) => counts(route.name))
  return {
    status,
    info: known ?? { name, title: provider, grant: 'refresh_token', subjectHeader: null },
    subjects: credentials.filter((one) => one.name === name && one.subject !== undefined),
    counts: {
      requests: routes.reduce((sum, { requests }) => sum + requests, 0),
      replays: routes.reduce((sum, { replays }) => sum + replays, 0),
    },
    now,
  }
}

function routeTable({ info, counts }: StatusView): Html {
  if (info.routes.length === 0) return html`<p class="none" id="routes" data-live>No route is configured.</p>`
  const rows = info.routes.map((route) => {
    const { requests, replays } = counts(route.name)
    return html`<tr>
      <th scope="row"><code>${route.path}</code></th>
      <td>${route.name}</td>
      <td>${route.upstreamOrigin}</td>
      <td>${route.credentials.join(', ')}</td>
      <td class="number">${requests.toLocaleString('en')}</td>
      <td class="number">${replays.toLocaleString('en')}</td>
    </tr>`
  })
  return html`<div class="scroll" id="routes" data-live tabindex="0" role="region" aria-labelledby="routes-title">
    <table>
      <thead>
        <tr>
          <th scope="col">Path</th>
          <th scope="col">Name</th>
          <th scope="col">Upstream</th>
          <th scope="col">Credential</th>
          <th scope="col" class="number">Requests</th>
          <th scope="col" class="number">Replays</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`
}

function storeLine({ description, ok, error }: AdminInfo['store']): Html {
  if (ok) return html`<p class="store">${description}</p>`
  return html`<div class="trouble grave">
    <p>${description}</p>
    ${error !== null && html`<p>${error}</p>`}
  </div>`
}
