import type { Clock } from '../clock.ts'
import { durationInWords } from '../durations.ts'
import type { CredentialStatus } from '../tokens/credentials.ts'

const day = 86_400_000

/** The rest of an access token's life: "52 minutes left". */
export function accessTokenWords({ accessTokenIssuedAt, accessTokenExpiresAt }: CredentialStatus, now: number): string {
  if (accessTokenExpiresAt !== null) return rest(accessTokenExpiresAt, now)
  return accessTokenIssuedAt === null ? 'none' : 'no known expiry'
}

/** The rest of a refresh token's life, in days where there are any. */
export function refreshTokenWords({ refreshTokenExpiresAt, refreshable }: CredentialStatus, now: number): string {
  if (refreshTokenExpiresAt !== null) return rest(refreshTokenExpiresAt, now)
  return refreshable ? 'no known expiry' : 'none'
}

/** One sentence for the end of a command: "sky is active: access token 59 minutes left, refresh token 364 days left." */
export function summary(status: CredentialStatus, clock: Clock): string {
  const now = clock.now()
  const name = status.subject === undefined ? status.name : `${status.name} (${status.subject})`
  const state = status.state.replaceAll('_', ' ')
  return `${name} is ${state}: access token ${accessTokenWords(status, now)}, refresh token ${refreshTokenWords(status, now)}.`
}

function rest(time: string, now: number): string {
  const left = Date.parse(time) - now
  if (left <= 0) return 'expired'
  const days = Math.floor(left / day)
  return days >= 2 ? `${days.toLocaleString('en')} days left` : `${durationInWords(left)} left`
}
