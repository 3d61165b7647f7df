import { sleep, type Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { LoginError } from '../tokens/credentials.ts'
import type { TokenSet } from '../tokens/token-set.ts'
import { lifetime, tokensOf, type TokenOutcome } from './token-answer.ts'
import type { TokenGrant } from './token-request.ts'
import { postForm } from './token-endpoint.ts'

/** What a person needs to log in on another device (RFC 8628 section 3.2). */
export interface DeviceAuthorization {
  readonly deviceCode: string
  readonly userCode: string
  readonly verificationUri: string
  readonly verificationUriComplete: string | undefined
  /** Milliseconds. */
  readonly expiresIn: number
  readonly interval: number
}

const longestInterval = 60_000

/** Asks for a device code. Rejects with LoginError when the provider gives none. */
export async function deviceAuthorization(config: CredentialConfig): Promise<DeviceAuthorization> {
  if (config.deviceAuthorizationUrl === null) throw new LoginError('This credential has no deviceAuthorizationUrl.')
  const params = { ...(config.scopes.length > 0 && { scope: config.scopes.join(config.scopeSeparator) }) }
  const body = await postForm(config, config.deviceAuthorizationUrl, params).catch((cause: unknown) => {
    throw new LoginError('The device authorization endpoint could not be reached; check deviceAuthorizationUrl.', {
      cause,
    })
  })
  const text = (name: string) => (typeof body?.[name] === 'string' ? body[name] : undefined)
  const seconds = (name: string, byDefault: number) => lifetime(body?.[name]) ?? byDefault * 1000
  const deviceCode = text('device_code')
  const userCode = text('user_code')
  // Google wrote verification_url before the RFC had its name.
  const verificationUri = text('verification_uri') ?? text('verification_url')
  if (deviceCode === undefined || userCode === undefined || verificationUri === undefined) {
    throw new LoginError(
      'The device authorization endpoint gave no device code; check clientId and deviceAuthorizationUrl.',
    )
  }
  return {
    deviceCode,
    userCode,
    verificationUri,
    verificationUriComplete: text('verification_uri_complete'),
    expiresIn: seconds('expires_in', 600),
    interval: Math.min(seconds('interval', 5), longestInterval),
  }
}

/** Polls the token endpoint until the person has decided (RFC 8628 section 3.5). Rejects with LoginError. */
export async function pollDeviceCode(
  device: DeviceAuthorization,
  request: (grant: TokenGrant) => Promise<TokenOutcome>,
  clock: Clock,
  signal?: AbortSignal,
): Promise<TokenSet> {
  const end = clock.monotonic() + device.expiresIn
  let interval = device.interval
  let wait = interval
  while (clock.monotonic() + wait < end) {
    await sleep(clock, wait, signal)
    const outcome = await request({ type: 'device_code', deviceCode: device.deviceCode })
    const tokens = tokensOf(outcome, clock.now())
    if (tokens !== undefined) return tokens
    if (outcome.kind === 'fatal') throw new LoginError(`The provider refused the login (${outcome.error}).`)
    const error = outcome.kind === 'transient' ? outcome.error : undefined
    if (error === 'access_denied') throw new LoginError('The provider says that access was denied (access_denied).')
    if (error === 'expired_token') break
    // Section 3.5: slow_down adds five seconds for good; a fault of the connection doubles the wait.
    if (error === 'slow_down') interval += 5_000
    else if (error !== 'authorization_pending') interval = Math.min(interval * 2, longestInterval)
    wait = Math.max(interval, (outcome.kind === 'transient' ? outcome.retryAfter : undefined) ?? 0)
  }
  throw new LoginError('Nobody logged in before the device code expired.')
}
