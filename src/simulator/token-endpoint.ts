import { parseDuration } from './duration.ts'
import type { Fault } from './faults.ts'
import type { IssuedTokens } from './grants.ts'
import type { Issuer } from './grant-types.ts'
import { issueTokens } from './grant-types.ts'
import type { Answer, Exchange } from './http.ts'
import { fingerprint, json, readBody } from './http.ts'
import { applyChanges, sparesRefreshToken, standIn, standInOf } from './token-faults.ts'
import { formatTokens } from './token-format.ts'
import type { TokenRequest } from './token-request.ts'
import { OAuthError, readForm, readJson } from './token-request.ts'

/** One call of a token endpoint, without its secrets. */
export interface TokenCall {
  /** Milliseconds since 1970, by the simulator's clock. */
  at: number
  path: string
  /** The grant_type; `refresh_token` for an endpoint that does nothing else. */
  grant: string
  /** How the client proved itself: `basic`, `basic-raw`, `body`, `none` or, for maya's customers, `bearer`. */
  client: string
  /** What was sent: names with values, secrets as fingerprints. */
  params: Record<string, string>
  /** `issued`, an error code, or the name of the fault that answered instead. */
  outcome: string
  /** Further cause of a refusal: `reused`, `expired`, `revoked`, `unknown` and the like. */
  reason?: string
  /** Fingerprint of the refresh token that was issued. */
  issued?: string
}

export interface TokenEndpoint {
  issuer: Issuer
  /** The provider's second endpoint instead of the ordinary one. */
  extra: boolean
  takeFaults: (grant: string) => Fault[]
  record: (call: TokenCall) => void
  pause: (milliseconds: number) => Promise<void>
}

const secretParams = ['client_secret', 'code', 'refresh_token', 'refreshToken', 'code_verifier', 'device_code']

/** Answers one token request; undefined when a fault left nothing to send. */
export async function answerTokenRequest(endpoint: TokenEndpoint, exchange: Exchange): Promise<Answer | undefined> {
  const { provider, settings } = endpoint.issuer
  const body = await readBody(exchange.request)
  if (exchange.method !== 'POST') return json(405, { error: 'invalid_request' }, { allow: 'POST' })
  const call: TokenCall = { at: settings.now(), path: exchange.path, grant: '', client: '', params: {}, outcome: '' }
  endpoint.record(call)
  const format = endpoint.extra ? 'json' : settings.tokenFormat
  let faults: Fault[] = []
  let answer: Answer | undefined
  try {
    const params = endpoint.extra ? readJson(exchange, body) : readForm(exchange, body, provider.paramsInQuery)
    call.params = withoutSecrets(params)
    call.grant = endpoint.extra ? 'refresh_token' : (params.get('grant_type') ?? '')
    faults = endpoint.takeFaults(call.grant)
    const instead = standInOf(faults)
    if (instead !== undefined) {
      call.outcome = instead.name
      await endpoint.pause(delayOf(faults))
      return await standIn(instead, exchange)
    }
    const fields = issue(endpoint, { exchange, params, spare: sparesRefreshToken(faults) }, faults, call)
    answer = formatTokens(ordered(faults, 'token-201') ? 201 : 200, fields, format)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    const { status = error.status, description = error.reason } = provider.tokenError?.(error) ?? {}
    call.outcome = error.error
    call.reason = error.reason
    answer = formatTokens(status, { error: error.error, error_description: description }, format)
    // RFC 6749 section 5.2.
    const challenge = error.error === 'invalid_client' && status === 401
    if (challenge) answer.headers = { ...answer.headers, 'www-authenticate': 'Basic realm="token"' }
  }
  await endpoint.pause(delayOf(faults))
  if (!ordered(faults, 'token-lost-answer')) return answer
  call.outcome += ', answer lost'
  exchange.drop()
  return undefined
}

function issue(
  { issuer, extra }: TokenEndpoint,
  request: TokenRequest,
  faults: readonly Fault[],
  call: TokenCall,
): Record<string, unknown> {
  const { provider, grants, settings } = issuer
  const second = extra ? provider.extraTokenEndpoint : undefined
  let issued: IssuedTokens
  if (second !== undefined) {
    issued = second.issue(request, grants, settings)
    call.client = 'bearer'
  } else {
    const outcome = issueTokens(issuer, request)
    issued = outcome.issued
    call.client = outcome.client.method
  }
  applyChanges(faults, issued, request.params.get('refresh_token') ?? request.params.get('refreshToken'))
  call.outcome = 'issued'
  if (typeof issued.refreshToken === 'string') call.issued = fingerprint(issued.refreshToken)
  return (second ?? provider).tokenFields(issued)
}

function withoutSecrets(params: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(
    [...params].map(([name, value]) => [name, secretParams.includes(name) ? fingerprint(value) : value]),
  )
}

function ordered(faults: readonly Fault[], name: Fault['name']): boolean {
  return faults.some((fault) => fault.name === name)
}

function delayOf(faults: readonly Fault[]): number {
  const slow = faults.find(({ name }) => name === 'token-slow')
  return slow === undefined ? 0 : parseDuration(slow.value ?? '1s')
}
