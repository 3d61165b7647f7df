import { sleep, type Clock } from '../clock.ts'
import type { CredentialConfig } from '../config/schema.ts'
import { LoginError } from '../tokens/credentials.ts'
import type { TokenSet } from '../tokens/token-set.ts'
import type { TokenOutcome } from './token-answer.ts'
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

/** Asks for a device code. Rejects with LoginError when the provider gives none. */
export async function deviceAuthorization(config: CredentialConfig): Promise<DeviceAuthorization> {
  if (config.deviceAuthorizationUrl === null) throw new LoginError('This credential has no deviceAuthorizationUrl.')
  const params = { ...(config.scopes.length > 0 && { scope: config.scopes.join(' ') }) }
  const body = await postForm(config, config.deviceAuthorizationUrl, params)
  const text = (name: string) => (typeof body?.[name] === 'string' ? body[name] : undefined)
  const seconds = (name: string, byDefault: number) =>
    (Number(body?.[name]) > 0 ? Number(body?.[name]) : byDefault) * 1000
  const deviceCode = text('device_code')
  const userCode = text('user_code')
  const verificationUri = text('verification_uri')
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
    interval: seconds('interval', 5),
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
  while (clock.monotonic() < end) {
    await sleep(clock, interval, signal)
    const outcome = await request({ type: 'device_code', deviceCode: device.deviceCode })
    if (outcome.kind === 'success') return outcome.tokens
    if (outcome.kind === 'fatal') throw new LoginError(`The provider refused the login (${outcome.error}).`)
    const error = outcome.kind === 'transient' ? outcome.error : undefined
    if (error === 'access_denied') throw new LoginError('The provider says that access was denied (access_denied).')
    if (error === 'expired_token') break
    // Section 3.5: slow_down adds five seconds for good; a fault of the connection doubles the wait.
    if (error === 'slow_down') interval += 5_000
    else if (error !== 'authorization_pending') interval *= 2
  }
  throw new LoginError('Nobody logged in before the device code expired.')
}
