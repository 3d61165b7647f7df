import { durationInWords } from '../durations.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'
import { historyPicture, outcomeWords, reasonWords } from './history-picture.ts'
import { html, type Html } from './html.ts'
import type { RouteCounts } from './metrics.ts'
import { needsLogin, stateBadge, stateWords } from './state-badge.ts'
import type { CredentialInfo } from './status-document.ts'
import { subjectTable } from './subject-table.ts'
import { accessTokenLife, refreshTokenLife } from './token-life.ts'

export interface CardView {
  readonly status: CredentialStatus
  readonly info: CredentialInfo
  /** Those in memory, for a credential with a subjectHeader. */
  readonly subjects: readonly CredentialStatus[]
  /** Summed over the routes that use the credential. */
  readonly counts: RouteCounts
  readonly now: number
}

export function credentialCard({ status, info, subjects, counts, now }: CardView): Html {
  const id = `credential-${status.name}`
  const perSubject = info.subjectHeader !== null
  return html`<article
    class="credential"
    id="${id}"
    data-live
    data-said="${status.name}: ${stateWords[status.state]}."
    aria-labelledby="${id}-name"
  >
    <header>
      <h2 id="${id}-name">${status.name}</h2>
      <p class="provider">${info.title}</p>
      ${stateBadge(status.state)}
    </header>
    ${trouble(status, now)} ${perSubject ? subjectTable(subjects, info, now) : tokens(status, counts, id, now)}
    ${!perSubject && actions(status, info, id)}
  </article>`
}

function tokens(status: CredentialStatus, counts: RouteCounts, id: string, now: number): Html | false {
  const { lastRefresh, history, state } = status
  if (state === 'login_required' && history.length === 0) return false
  const last =
    lastRefresh && `${durationInWords(now - Date.parse(lastRefresh.at))} ago, ${reasonWords[lastRefresh.reason]}`
  const failed = lastRefresh !== null && lastRefresh.outcome !== 'success' && `: ${outcomeWords[lastRefresh.outcome]}`
  return html`<div class="columns">
    <div>
      ${accessTokenLife(status, now)}
      <dl class="facts">
        <dt>Refresh token</dt>
        <dd>${refreshTokenLife(status, now)}</dd>
        <dt>Last refresh</dt>
        <dd>${last ?? 'none'}${failed}</dd>
        <dt>Requests</dt>
        <dd>${counts.requests.toLocaleString('en')}</dd>
        <dt>Replays</dt>
        <dd>${counts.replays.toLocaleString('en')}</dd>
      </dl>
    </div>
    <div>${historyPicture(history, id)}</div>
  </div>`
}

/** What is wrong and what to do. */
function trouble(status: CredentialStatus, now: number): Html | false {
  const { state, lastError, nextStep, retryAt } = status
  const grave = needsLogin(state)
  const message = lastError ?? (state === 'login_required' ? 'Nobody has logged in yet.' : null)
  if (message === null && nextStep === null) return false
  const wait = retryAt === null ? 0 : Date.parse(retryAt) - now
  return html`<div class="trouble${grave && ' grave'}">
    ${message !== null && html`<p>${message}</p>`}
    ${nextStep !== null && html`<p>${withCommand(nextStep)}${wait > 0 && ` Next try in ${durationInWords(wait)}.`}</p>`}
  </div>`
}

/** Sets the command in a sentence such as "Run: bearer-sidecar login sky" in the type of a terminal. */
function withCommand(sentence: string): Html {
  const [before = '', command] = sentence.split(/(?=bearer-sidecar )/, 2)
  return html`${before}${command !== undefined && html`<code>${command}</code>`}`
}

function actions({ name, state, refreshable }: CredentialStatus, { grant }: CredentialInfo, id: string): Html | false {
  const grave = needsLogin(state)
  const login = grant === 'authorization_code'
  if (!login && !refreshable) return false
  // A link, not a form: see the Content-Security-Policy in page.ts.
  return html`<div class="actions">
    ${login && html`<a class="button${grave && ' primary'}" id="${id}-connect" href="/credentials/${name}/authorize">${state === 'login_required' ? 'Connect' : 'Reconnect'}<span class="unseen"> ${name}</span></a>`}
    ${
      refreshable &&
      html`<form method="post" action="/credentials/${name}/refresh">
        <button class="button" id="${id}-refresh">Refresh now<span class="unseen"> ${name}</span></button>
      </form>`
    }
  </div>`
}
