import { ProxyError } from '../errors.ts'
import type { Trouble } from './manager-status.ts'

/**
 * Why there is no token, as a caller is told: the next step, and no address, no provider text, no token. `retryAfter` in seconds, for passing faults.
 */
export function refusal(credential: string, trouble: Trouble | undefined, retryAfter: number): ProxyError {
  const login = `Run: bearer-sidecar login ${credential}, or open /credentials/${credential}/authorize on the admin port.`
  if (trouble === undefined) return new ProxyError('login_required', { detail: `No token for credential ${credential} yet. ${login}` })
  if (!trouble.fatal) {
    const code = trouble.what === 'store' ? 'store_unavailable' : 'token_endpoint_unavailable'
    return new ProxyError(code, { retryAfter, cause: trouble.message })
  }
  const detail =
    trouble.error === 'invalid_grant'
      ? `The provider no longer accepts the grant of credential ${credential}. ${login}`
      : `The provider refused the client credentials of ${credential} (${trouble.error}). Check clientId and clientSecret, then run: bearer-sidecar refresh ${credential}`
  return new ProxyError('reauthorization_required', { detail, cause: trouble.message })
}
