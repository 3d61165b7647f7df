import type { Answer, Exchange, ReceivedBody } from './http.ts'
import type { Grants, IssuedTokens, Rotation } from './grants.ts'
import type { Mint } from './mint.ts'
import type { OAuthError, TokenRequest } from './token-request.ts'
import type { Settings } from './settings.ts'

export type TokenFormat = 'json' | 'xml' | 'form'

/** What a provider is like when nobody says otherwise. Durations are in milliseconds. */
export interface ProviderDefaults {
  clientId: string
  clientSecret: string
  accessTokenTtl: number
  refreshTokenTtl: number
  codeTtl: number
  rotation: Rotation
  tokenFormat: TokenFormat
  scope: string
  subscriptionKeys?: readonly string[]
  paymentsKey?: string
}

/** How a client may prove itself at the token endpoint; `basic` is form-encoded as RFC 6749 section 2.3.1 says. */
export type ClientMethod = 'basic' | 'basic-raw' | 'body'

/** The refusals of an API in its own shape; also what faults answer with. */
export interface ApiAnswers {
  expired: Answer
  forbidden: Answer
  quota: (seconds: number, now: number) => Answer
  tooMany: (seconds: number, now: number) => Answer
  /** An invalid API key, where the provider has keys. */
  key?: Answer
  /** 401 for a missing permission, where the provider does that. */
  role?: Answer
}

export interface ApiCall {
  exchange: Exchange
  body: ReceivedBody
}

/** What the API of a provider works with. */
export interface ApiContext {
  settings: Settings
  grants: Grants
  /** undefined while within the limits, else the answer to give; `key` is what the provider counts calls by. */
  limit: (key: string) => Answer | undefined
}

/** A token endpoint beside the ordinary one of RFC 6749; it reads JSON and answers JSON. */
export interface ExtraTokenEndpoint {
  path: string
  issue(request: TokenRequest, grants: Grants, settings: Settings): IssuedTokens
  tokenFields(issued: IssuedTokens): Record<string, unknown>
}

/** One provider as data, with code only where it differs from RFC 6749. */
export interface Provider {
  title: string
  defaults: ProviderDefaults
  /** Paths on the simulator's origin; `{instance}` stands for the setting. */
  paths: { authorization?: string; token: string; device?: string; api: string }
  clientMethods: readonly ClientMethod[]
  /** Clients without a secret, bound by PKCE instead (RFC 7636). */
  publicClients: boolean
  grantTypes: readonly ('authorization_code' | 'refresh_token' | 'client_credentials' | 'device_code')[]
  /** Reads parameters from the query string too. */
  paramsInQuery: boolean
  /** Asks for the redirect URI again when a code is exchanged (RFC 6749 section 4.1.3). */
  redirectUriAtExchange: boolean
  pkce: boolean
  /** Names itself in the authorization response (RFC 9207). */
  sendsIssuer: boolean
  /** Understands preserve_refresh_token=true. */
  preserves: boolean
  mint: Mint
  grantsRefreshToken(about: { scope: string; confidential: boolean }): boolean
  /** The wire names of a token answer. */
  tokenFields(issued: IssuedTokens): Record<string, unknown>
  /** Where the provider's wording or status of a token error differs from the RFC. */
  tokenError?(error: OAuthError): { status?: number; description?: string }
  extraTokenEndpoint?: ExtraTokenEndpoint
  answers: ApiAnswers
  api: (context: ApiContext) => (call: ApiCall) => Answer
}
