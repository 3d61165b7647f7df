import { once } from 'node:events'
import type { Fault, FaultName } from './faults.ts'
import type { IssuedTokens } from './grants.ts'
import type { Answer, Exchange } from './http.ts'
import { json, redirect } from './http.ts'

/** An answer, or the deed done (undefined). */
type StandIn = Answer | ((exchange: Exchange, value: string) => Answer | undefined | Promise<undefined>)

const issuedLook = {
  access_token: 'never-issued',
  token_type: 'Bearer',
  expires_in: 3600,
  refresh_token: 'never-issued',
}
const ok = (type: string, body: string | Buffer): Answer => ({ status: 200, headers: { 'content-type': type }, body })

/** Faults that answer in the place of the token endpoint: nothing is issued and nothing spent. */
const standIns: Partial<Record<FaultName, StandIn>> = {
  'token-400': json(400, { error: 'invalid_request', error_description: 'Ordered by a fault.' }),
  'token-invalid-grant': json(400, { error: 'invalid_grant', error_description: 'Ordered by a fault.' }),
  'token-invalid-client': json(401, { error: 'invalid_client', error_description: 'Ordered by a fault.' }),
  'token-429': (_exchange, seconds) => json(429, { error: 'too_many_requests' }, { 'retry-after': seconds }),
  'token-500': { status: 500, headers: { 'content-type': 'text/plain' }, body: 'Internal Server Error' },
  'token-503': (_exchange, seconds) => ({
    status: 503,
    headers: { 'content-type': 'text/plain', 'retry-after': seconds },
    body: 'Service Unavailable',
  }),
  'token-timeout': () => undefined,
  'token-reset': (exchange) => exchange.drop(),
  'token-cut': (exchange) => {
    const body = JSON.stringify(issuedLook)
    exchange.response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    exchange.response.write(body.slice(0, body.length / 2), () => exchange.drop())
    return undefined
  },
  'token-truncated': ok('application/json', JSON.stringify(issuedLook).slice(0, 60)),
  'token-garbage': ok('application/json', Buffer.from([0xff, 0xfe, 0x00, 0x9f, 0x92, 0x96, 0x00, 0x7f])),
  'token-html': ok('text/html', '<!doctype html><title>Welcome</title><p>Please accept the terms of use.</p>'),
  'token-empty': { status: 200, body: '' },
  'token-array': ok('application/json', '[]'),
  'token-huge': async (exchange, megabytes) => {
    const { response } = exchange
    response.on('error', () => undefined).writeHead(200, { 'content-type': 'application/json' })
    response.write('{"padding":"')
    const block = 'x'.repeat(1_000_000)
    for (let sent = 0; sent < Number(megabytes) && !response.destroyed; sent++) {
      if (!response.write(block)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    }
    response.end(`",${JSON.stringify(issuedLook).slice(1)}`)
    return undefined
  },
  'token-error-200': json(200, { error: 'invalid_grant' }),
  'token-redirect': (exchange) => redirect(`${exchange.origin}/__simulator/redirected`, 307),
}

/** The fault that answers in the place of the token endpoint, if one is ordered. */
export function standInOf(faults: readonly Fault[]): Fault | undefined {
  return faults.find(({ name }) => standIns[name] !== undefined)
}

/** What to send; undefined when the fault sent (or withheld) everything itself. */
export async function standIn({ name, value = '' }: Fault, exchange: Exchange): Promise<Answer | undefined> {
  const deed = standIns[name]
  return typeof deed === 'function' ? deed(exchange, value) : deed
}

type Change = (issued: IssuedTokens, value: string, presented: string | undefined) => void

/** Faults that change what was issued. */
const changes: Partial<Record<FaultName, Change>> = {
  'token-no-type': (issued) => delete issued.tokenType,
  'token-no-access': (issued) => delete issued.accessToken,
  'token-null-refresh': (issued) => (issued.refreshToken = null),
  'token-no-refresh': (issued) => delete issued.refreshToken,
  'token-same-refresh': (issued, _value, presented) => {
    if (presented !== undefined) issued.refreshToken = presented
  },
  'token-control-chars': (issued) => (issued.accessToken = `${issued.accessToken ?? ''}\r\nX-Injected: yes`),
  'token-space': (issued) => (issued.accessToken = `${issued.accessToken ?? ''} and more`),
  'token-expires-in': (issued, value) => {
    issued.expiresIn = value === 'missing' ? undefined : jsonOrText(value)
  },
}

const sparing: readonly FaultName[] = [
  'token-no-access',
  'token-null-refresh',
  'token-no-refresh',
  'token-same-refresh',
  'token-control-chars',
  'token-space',
]

/** True when a fault damages the answer so that the presented refresh token must stay good. */
export function sparesRefreshToken(faults: readonly Fault[]): boolean {
  return faults.some(({ name }) => sparing.includes(name))
}

export function applyChanges(faults: readonly Fault[], issued: IssuedTokens, presented: string | undefined): void {
  for (const { name, value = '' } of faults) changes[name]?.(issued, value, presented)
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}
