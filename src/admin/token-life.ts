import { durationInWords } from '../durations.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'
import { html, type Html } from './html.ts'
import { timeText } from './time.ts'

const day = 86_400_000
/** Below this many days the refresh token's rest is written in the warning colour. */
const warnDays = 30

/** The access token's rest in words and, where both ends of its life are known, as a bar. */
export function accessTokenLife(status: CredentialStatus, now: number): Html {
  const { accessTokenIssuedAt, accessTokenExpiresAt } = status
  if (accessTokenIssuedAt === null && accessTokenExpiresAt === null) return line('none yet')
  if (accessTokenExpiresAt === null) return line('without a recorded expiry: used until the upstream rejects it')
  const expiresAt = Date.parse(accessTokenExpiresAt)
  const left = expiresAt - now
  const words = left > 0 ? `${durationInWords(left)} left` : `expired ${durationInWords(left)} ago`
  const after = left > 0 || !status.refreshable ? '' : '; the next request fetches a new one'
  return html`${line(words)}
    ${accessTokenIssuedAt !== null && bar(left, expiresAt - Date.parse(accessTokenIssuedAt), words)}
    <p class="small">${left > 0 ? 'until' : 'since'} ${timeText(expiresAt)}${after}</p>`
}

/** Days, always: a refresh token's rest is what a person plans by. */
export function refreshTokenLife({ refreshTokenExpiresAt, refreshable }: CredentialStatus, now: number): Html {
  if (refreshTokenExpiresAt === null) return html`${refreshable ? 'without a recorded expiry' : 'none'}`
  const left = Date.parse(refreshTokenExpiresAt) - now
  if (left <= 0) return html`<span class="warned">expired ${durationInWords(left)} ago</span>`
  const days = Math.floor(left / day)
  const words =
    days === 0 ? 'less than a day left' : days === 1 ? '1 day left' : `${days.toLocaleString('en')} days left`
  return days < warnDays ? html`<span class="warned">${words}</span>` : html`${words}`
}

function line(words: string): Html {
  return html`<p class="pair"><span>Access token</span><span>${words}</span></p>`
}

function bar(left: number, life: number, words: string): Html {
  const share = life > 0 ? Math.min(1, Math.max(0, left / life)) : 0
  const width = `${(share * 100).toFixed(1)}%`
  return html`<svg class="bar" role="img" aria-label="Life of the access token: ${words}">
    <rect class="track" width="100%" height="100%" rx="4" />
    ${share > 0 && html`<rect class="left${share < 0.1 && ' low'}" width="${width}" height="100%" rx="4" />`}
  </svg>`
}
