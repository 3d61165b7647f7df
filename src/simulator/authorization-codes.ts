import { createHash } from 'node:crypto'
import type { Grants } from './grants.ts'
import { opaque } from './mint.ts'
import type { Provider } from './provider.ts'
import type { Settings } from './settings.ts'
import { OAuthError } from './token-request.ts'

export interface Login {
  clientId: string
  redirectUri: string
  scope: string
  challenge: string | undefined
  /** Set once the code was exchanged, so that a second exchange can end what the first one got. */
  grantId?: string
}

export interface Redemption {
  clientId: string
  confidential: boolean
  redirectUri: string | undefined
  verifier: string | undefined
}

/** Authorization codes: single use, short-lived, bound to client, redirect URI and PKCE challenge. */
export class AuthorizationCodes {
  readonly #codes = new Map<string, Login & { expiresAt: number; used: boolean }>()
  readonly #provider: Provider
  readonly #settings: Settings
  readonly #grants: Grants

  constructor(provider: Provider, settings: Settings, grants: Grants) {
    this.#provider = provider
    this.#settings = settings
    this.#grants = grants
  }

  issue(login: Login): string {
    const code = opaque()
    this.#codes.set(code, { ...login, expiresAt: this.#settings.now() + this.#settings.codeTtl, used: false })
    return code
  }

  /** Throws invalid_grant for every code that may not be exchanged, as RFC 6749 section 4.1.3 and RFC 7636 section 4.6 say. */
  redeem(value: string, { clientId, confidential, redirectUri, verifier }: Redemption): Login {
    const login = this.#codes.get(value)
    if (login?.clientId !== clientId) throw new OAuthError('invalid_grant', 'unknown-code')
    if (login.used) {
      // RFC 6749 section 4.1.2: a code that comes twice has leaked, so its tokens end.
      if (login.grantId !== undefined) this.#grants.end(login.grantId)
      throw new OAuthError('invalid_grant', 'code-used')
    }
    if (login.expiresAt <= this.#settings.now()) throw new OAuthError('invalid_grant', 'code-expired')
    const uriNeeded = this.#provider.redirectUriAtExchange || redirectUri !== undefined
    if (uriNeeded && redirectUri !== login.redirectUri) throw new OAuthError('invalid_grant', 'redirect-uri')
    if (this.#provider.pkce) this.#checkVerifier(login.challenge, verifier, confidential)
    login.used = true
    return login
  }

  #checkVerifier(challenge: string | undefined, verifier: string | undefined, confidential: boolean): void {
    if (challenge === undefined) {
      // RFC 9700 section 2.1.1: a verifier without a challenge is a downgrade.
      if (verifier !== undefined || !confidential) throw new OAuthError('invalid_grant', 'no-challenge')
      return
    }
    const hashed = verifier === undefined ? '' : createHash('sha256').update(verifier).digest('base64url')
    if (hashed !== challenge) throw new OAuthError('invalid_grant', 'code-verifier')
  }
}
