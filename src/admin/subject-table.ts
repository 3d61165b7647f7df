import { durationInWords } from '../durations.ts'
import type { CredentialState, CredentialStatus } from '../tokens/credentials.ts'
import { html, type Html } from './html.ts'
import { stateBadge } from './state-badge.ts'
import type { CredentialInfo } from './status-document.ts'

/** A page is for people; all ten thousand are in GET /status. */
const shown = 25

const urgency: Readonly<Record<CredentialState, number>> = {
  reauthorization_required: 0,
  login_required: 1,
  degraded: 2,
  active: 3,
}

/** The subjects in memory of a credential that has a subjectHeader, those that need a person first. */
export function subjectTable(
  subjects: readonly CredentialStatus[],
  { name, grant, subjectHeader }: CredentialInfo,
  now: number,
): Html {
  const explanation = html`<p class="small explanation">
    One login per value of the request header <code>${subjectHeader}</code>. To add one:
    <code
      >bearer-sidecar ${grant === 'authorization_code' || grant === 'device_code' ? 'login' : 'import'} ${name}
      --subject ID</code
    >
  </p>`
  if (subjects.length === 0)
    return html`${explanation}
      <p class="none">No subject has been used since the start.</p>`
  const rows = subjects.toSorted((a, b) => urgency[a.state] - urgency[b.state]).slice(0, shown)
  const left = subjects.length - rows.length
  return html`${explanation}
    <div class="scroll" id="subjects-${name}" tabindex="0" role="region" aria-label="Subjects of ${name}">
      <table>
        <caption>
          ${subjects.length.toLocaleString('en')} in
          memory${left > 0 && `, ${left.toLocaleString('en')} of them not shown here but in /status`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Subject</th>
            <th scope="col">State</th>
            <th scope="col">Access token</th>
            <th scope="col"><span class="unseen">Actions</span></th>
          </tr>
        </thead>
        <tbody>
          ${rows.map((status, index) => row(status, grant, `${name}-subject-${index}`, now))}
        </tbody>
      </table>
    </div>`
}

function row(
  { name, subject = '', state, accessTokenExpiresAt, refreshable, lastError }: CredentialStatus,
  grant: CredentialInfo['grant'],
  id: string,
  now: number,
): Html {
  const rest = accessTokenExpiresAt === null ? 0 : Date.parse(accessTokenExpiresAt) - now
  const query = `?subject=${encodeURIComponent(subject)}`
  return html`<tr>
    <th scope="row">${subject}</th>
    <td>${stateBadge(state)}${lastError !== null && html`<br /><span class="small">${lastError}</span>`}</td>
    <td>${rest > 0 ? `${durationInWords(rest)} left` : 'none live'}</td>
    <td class="row-actions">
      ${grant === 'authorization_code' && html`<a id="${id}-connect" href="/credentials/${name}/authorize${query}">${state === 'login_required' ? 'Connect' : 'Reconnect'}<span class="unseen"> ${subject}</span></a>`}
      ${
        refreshable &&
        html`<form method="post" action="/credentials/${name}/refresh${query}">
          <button class="link" id="${id}-refresh">Refresh<span class="unseen"> ${subject}</span></button>
        </form>`
      }
    </td>
  </tr>`
}
