import type { CredentialConfig } from '../config/schema.ts'
import { ProxyError } from '../errors.ts'
import type { GrantId } from '../stores/token-store.ts'
import type { Trouble } from './manager-status.ts'
import { command, loginCommand, loginPage, refreshPage } from './next-step.ts'

/**
 * Why there is no token, as a caller is told: the next step, and no address, no provider text, no token. `retryAfter` in seconds, for passing faults.
 */
export function refusal(
  config: CredentialConfig,
  id: GrantId,
  trouble: Trouble | undefined,
  retryAfter: number,
): ProxyError {
  const { credential } = id
  const login = `Run: ${loginCommand(config, id)}, or ${loginPage(config, id)} on the admin port.`
  if (trouble === undefined)
    return new ProxyError('login_required', { detail: `No token for credential ${credential} yet. ${login}` })
  if (!trouble.fatal) return passing(trouble, id, retryAfter)
  const detail =
    trouble.error === 'invalid_grant'
      ? `The provider no longer accepts the grant of credential ${credential}. ${login}`
      : `The provider refused the client credentials of ${credential} (${trouble.error}). Check clientId and clientSecret, then run: ${command('refresh', id)}, or POST ${refreshPage(id)} on the admin port.`
  return new ProxyError('reauthorization_required', { detail, cause: trouble.message })
}

/** For faults that pass. `retryAfter` in seconds; `cause` is for the log. */
export function unavailable(
  what: 'token endpoint' | 'store',
  id: GrantId,
  retryAfter: number,
  cause?: unknown,
): ProxyError {
  const why = what === 'store' ? 'because the token store cannot be used' : 'from the token endpoint'
  const detail = `No new token for credential ${id.credential} could be had ${why}; this is retried by itself. For the reason run: bearer-sidecar status, or open / on the admin port.`
  return new ProxyError(what === 'store' ? 'store_unavailable' : 'token_endpoint_unavailable', {
    detail,
    retryAfter,
    cause,
  })
}

function passing(
  { what, blockedBy, message }: Extract<Trouble, { fatal: false }>,
  id: GrantId,
  retryAfter: number,
): ProxyError {
  if (blockedBy === undefined) return unavailable(what, id, retryAfter, message)
  const { code, detail, retryAfter: own } = blockedBy
  return new ProxyError(code, {
    ...(own !== undefined && { retryAfter: Math.max(retryAfter, own) }),
    detail,
    cause: message,
  })
}
