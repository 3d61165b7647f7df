import { randomUUID } from 'node:crypto'
import type { CredentialConfig } from '../config/schema.ts'

/** What is asked of the token endpoint. */
export type TokenGrant =
  | { readonly type: 'refresh_token'; readonly refreshToken: string; readonly preserve: boolean }
  | { readonly type: 'client_credentials' }
  | {
      readonly type: 'authorization_code'
      readonly code: string
      readonly codeVerifier: string | undefined
      readonly redirectUri: string
    }
  | { readonly type: 'device_code'; readonly deviceCode: string }

export interface TokenHttpRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Writes the one POST of a token request (RFC 6749 sections 3.2 and 4 to 6). `bearer` is the access token of the credential that
 * authorises the call when clientAuthentication is credential:<name>.
 */
export function tokenHttpRequest(
  config: CredentialConfig,
  grant: TokenGrant,
  bearer: string | undefined,
): TokenHttpRequest {
  const { tokenRequest } = config
  const params: Record<string, string> = {}
  if (tokenRequest.fields.grantType !== null) params[tokenRequest.fields.grantType] = grantType(grant)
  Object.assign(params, grantParams(config, grant), tokenRequest.params)
  if (grant.type === 'refresh_token') Object.assign(params, tokenRequest.refreshParams)

  const headers: Record<string, string> = { ...plainAnswer }
  for (const [name, value] of Object.entries(tokenRequest.headers))
    headers[name.toLowerCase()] = value.replaceAll('{uuid}', () => randomUUID())
  authenticate(config, params, headers, bearer)

  if (tokenRequest.format === 'json') {
    headers['content-type'] = 'application/json'
    return { url: requireTokenUrl(config), headers, body: JSON.stringify(params) }
  }
  headers['content-type'] = 'application/x-www-form-urlencoded'
  return { url: requireTokenUrl(config), headers, body: new URLSearchParams(params).toString() }
}

/** A form with client authentication. A public client names itself, and so does one at a device authorization endpoint (RFC 8628 section 3.1). */
export function authenticatedForm(
  config: CredentialConfig,
  url: string,
  params: Readonly<Record<string, string>>,
): TokenHttpRequest {
  const all: Record<string, string> = { client_id: config.clientId ?? '', ...params }
  const headers: Record<string, string> = { ...plainAnswer, 'content-type': 'application/x-www-form-urlencoded' }
  authenticate(config, all, headers, undefined)
  return { url, headers, body: new URLSearchParams(all).toString() }
}

/** RFC 9110 section 12.5.3: without Accept-Encoding any coding would do, and a token that can't be decoded is lost. */
const plainAnswer: Readonly<Record<string, string>> = { accept: 'application/json', 'accept-encoding': 'identity' }

function grantType(grant: TokenGrant): string {
  return grant.type === 'device_code' ? 'urn:ietf:params:oauth:grant-type:device_code' : grant.type
}

function grantParams(config: CredentialConfig, grant: TokenGrant): Record<string, string> {
  switch (grant.type) {
    case 'refresh_token': {
      const field = config.tokenRequest.fields.refreshToken
      return {
        ...(field !== null && { [field]: grant.refreshToken }),
        // Blackbaud: do not rotate on this refresh.
        ...(grant.preserve && { preserve_refresh_token: 'true' }),
      }
    }
    case 'client_credentials':
      return config.scopes.length > 0 ? { scope: config.scopes.join(config.scopeSeparator) } : {}
    case 'authorization_code':
      return {
        code: grant.code,
        redirect_uri: grant.redirectUri,
        ...(grant.codeVerifier !== undefined && { code_verifier: grant.codeVerifier }),
      }
    case 'device_code':
      return { device_code: grant.deviceCode }
  }
}

/**
 * Client authentication exactly as the preset states it; never probed, because a second try with another style would present a
 * one-time refresh token twice.
 */
function authenticate(
  config: CredentialConfig,
  params: Record<string, string>,
  headers: Record<string, string>,
  bearer: string | undefined,
): void {
  const id = config.clientId ?? ''
  const secret = config.clientSecret ?? ''
  switch (config.clientAuthentication) {
    case 'basic':
      // RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
      headers['authorization'] = basic(formEncode(id), formEncode(secret))
      break
    case 'basic-raw':
      headers['authorization'] = basic(id, secret)
      break
    case 'body':
      params['client_id'] = id
      params['client_secret'] = secret
      break
    case 'none':
      if (config.clientId !== null) params['client_id'] = config.clientId
      break
    default:
      if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`
  }
}

const basic = (id: string, secret: string) => `Basic ${Buffer.from(`${id}:${secret}`, 'utf8').toString('base64')}`

const formEncode = (text: string) => new URLSearchParams({ v: text }).toString().slice(2)

function requireTokenUrl(config: CredentialConfig): string {
  if (config.tokenUrl === null) throw new Error('the credential has no tokenUrl')
  return config.tokenUrl
}
