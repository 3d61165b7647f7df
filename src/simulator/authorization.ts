import type { AuthorizationCodes } from './authorization-codes.ts'
import type { Fault } from './faults.ts'
import type { Answer, Exchange } from './http.ts'
import { escapeHtml, readBody, redirect } from './http.ts'
import { opaque } from './mint.ts'
import { consentPage, page } from './pages.ts'
import type { Provider } from './provider.ts'
import type { Settings } from './settings.ts'

interface AuthorizationParts {
  provider: Provider
  settings: Settings
  codes: AuthorizationCodes
  takeFaults(): Fault[]
}

/**
 * The authorization endpoint (RFC 6749 section 4.1.1): a consent page, or a redirect at once with `auto=1` (`deny=1`
 * refuses at once). A wrong client or redirect URI ends on a page and never redirects (section 4.1.2.1).
 */
export async function answerAuthorization(parts: AuthorizationParts, exchange: Exchange): Promise<Answer> {
  const { provider, settings } = parts
  const { query } = exchange
  const redirectUri = query.get('redirect_uri')
  if (query.get('client_id') !== settings.clientId) {
    return page(400, 'Unknown client', '<p>No application is registered under this client_id.</p>')
  }
  if (redirectUri === null || !isRegistered(redirectUri, settings.redirectUris)) {
    const shown = escapeHtml(redirectUri ?? '')
    return page(400, 'Redirect URI', `<p>redirect_uri <code>${shown}</code> is not registered.</p>`)
  }
  const refusal = invalid(query, provider, settings)
  if (refusal !== undefined) return back(parts, exchange, redirectUri, { error: refusal })
  let decision = query.has('deny') ? 'deny' : settings.autoConsent || query.has('auto') ? 'allow' : undefined
  if (exchange.method === 'POST') {
    const form = new URLSearchParams((await readBody(exchange.request)).head.toString('utf8'))
    decision = form.get('decision') === 'allow' ? 'allow' : 'deny'
  }
  if (decision === undefined) {
    return consentPage(provider.title, `May ${settings.clientId} use your data?`)
  }
  if (decision === 'deny') return back(parts, exchange, redirectUri, { error: 'access_denied' })
  const code = parts.codes.issue({
    clientId: settings.clientId,
    redirectUri,
    scope: query.get('scope') ?? settings.scope,
    challenge: provider.pkce ? (query.get('code_challenge') ?? undefined) : undefined,
  })
  return back(parts, exchange, redirectUri, { code })
}

function invalid(query: URLSearchParams, provider: Provider, settings: Settings): string | undefined {
  if (query.get('response_type') !== 'code') return 'unsupported_response_type'
  if (!provider.pkce) return undefined
  const challenge = query.get('code_challenge')
  if (challenge === null) return settings.requirePkce ? 'invalid_request' : undefined
  // RFC 7636 section 4.2: 43 characters of base64url; plain is not taken.
  const wellFormed = query.get('code_challenge_method') === 'S256' && /^[A-Za-z0-9_-]{43}$/.test(challenge)
  return wellFormed ? undefined : 'invalid_request'
}

/** Sends the browser back with the outcome, changed by whatever faults are ordered. */
function back(
  parts: AuthorizationParts,
  exchange: Exchange,
  redirectUri: string,
  outcome: Record<string, string>,
): Answer {
  const url = new URL(redirectUri)
  const faults = new Map(parts.takeFaults().map(({ name, value }) => [name, value ?? '']))
  const failed = faults.has('authorize-denied') ? 'access_denied' : faults.get('authorize-error')
  for (const [name, value] of Object.entries(failed === undefined ? outcome : { error: failed })) {
    url.searchParams.set(name, value)
  }
  const state = faults.has('authorize-wrong-state') ? opaque() : exchange.query.get('state')
  if (state !== null) url.searchParams.set('state', state)
  if (faults.has('authorize-wrong-iss')) url.searchParams.set('iss', 'https://attacker.example')
  else if (parts.provider.sendsIssuer) url.searchParams.set('iss', exchange.origin)
  return redirect(url.href)
}

/** Registered URIs match exactly, case and trailing slash included. */
function isRegistered(uri: string, registered: readonly string[] | undefined): boolean {
  if (registered !== undefined) return registered.includes(uri)
  return /^(http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?|https:\/\/localhost(:\d+)?)(\/[^#]*)?$/.test(uri)
}
