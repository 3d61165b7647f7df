import { timingSafeEqual } from 'node:crypto'
import type { ClientMethod, Provider } from './provider.ts'
import type { Settings } from './settings.ts'
import type { TokenRequest } from './token-request.ts'
import { OAuthError } from './token-request.ts'

export interface Client {
  id: string
  /** It proved itself with the secret. */
  confidential: boolean
  /** How it did so, for the log. */
  method: ClientMethod | 'none'
}

/** Who calls the token endpoint (RFC 6749 section 2.3); throws invalid_client with the reason. */
export function authenticateClient(request: TokenRequest, provider: Provider, settings: Settings): Client {
  const claim = presented(request, provider)
  if (claim === undefined) throw new OAuthError('invalid_client', 'no-credentials', 401)
  if (claim.id === undefined) throw new OAuthError('invalid_client', 'no-client-id', 401)
  if (!same(claim.id, settings.clientId)) throw new OAuthError('invalid_client', `unknown-client ${claim.id}`, 401)
  if (claim.secret === undefined) {
    if (!provider.publicClients) throw new OAuthError('invalid_client', 'no-credentials', 401)
    return { id: claim.id, confidential: false, method: 'none' }
  }
  if (!same(claim.secret, settings.clientSecret)) throw new OAuthError('invalid_client', 'wrong-secret', 401)
  return { id: claim.id, confidential: true, method: claim.method }
}

interface Claim {
  id: string | undefined
  secret: string | undefined
  method: ClientMethod
}

function presented({ exchange, params }: TokenRequest, { clientMethods }: Provider): Claim | undefined {
  const id = params.get('client_id')
  const secret = params.get('client_secret')
  const body: Claim | undefined = id === undefined && secret === undefined ? undefined : { id, secret, method: 'body' }
  const encoded = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(exchange.header('authorization') ?? '')?.[1]
  const basic = clientMethods.find((method) => method !== 'body')
  if (encoded === undefined || basic === undefined) {
    // A client that must send its secret in the body and sends it elsewhere has, for the provider, sent none.
    return clientMethods.includes('body') || secret === undefined ? body : undefined
  }
  // RFC 6749 section 2.3: not more than one method in a request.
  if (secret !== undefined && basic === 'basic') throw new OAuthError('invalid_request', 'two client authentications')
  if (secret !== undefined) return body
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1) return { id: undefined, secret: text, method: basic }
  const decode = basic === 'basic' ? formDecode : (part: string) => part
  return { id: decode(text.slice(0, colon)), secret: decode(text.slice(colon + 1)), method: basic }
}

function formDecode(text: string): string {
  return new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? ''
}

function same(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}
