import type { CredentialState } from '../tokens/credentials.ts'
import { html, Html } from './html.ts'

export const stateWords: Readonly<Record<CredentialState, string>> = {
  active: 'Active',
  degraded: 'Degraded',
  login_required: 'Login required',
  reauthorization_required: 'Re-authorization required',
}

/** A shape of its own for each state, for those who do not see the colour. */
const shapes: Readonly<Record<CredentialState, Html>> = {
  active: new Html('<circle cx="6" cy="6" r="5"/>'),
  degraded: new Html('<path d="M6 1 11.5 11H.5Z"/>'),
  login_required: new Html('<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="2"/>'),
  reauthorization_required: new Html(
    '<path d="M2 2 10 10M10 2 2 10" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/>',
  ),
}

export function stateBadge(state: CredentialState): Html {
  return html`<span class="state ${state}"
    ><svg viewBox="0 0 12 12" fill="currentColor" aria-hidden="true">${shapes[state]}</svg>${stateWords[state]}</span
  >`
}

/** Nothing but a person's login helps. */
export function needsLogin(state: CredentialState): boolean {
  return state === 'login_required' || state === 'reauthorization_required'
}
