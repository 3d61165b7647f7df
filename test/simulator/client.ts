import type { TestContext } from 'node:test'
import type { SimulatorOptions } from '../../src/simulator/settings.ts'
import { startSimulator, type Simulator } from '../../src/simulator/simulator.ts'

/** A simulator that closes with the test, on a clock that the test moves. */
export async function simulated(
  t: TestContext,
  options: SimulatorOptions,
): Promise<{ simulator: Simulator; pass: (milliseconds: number) => void }> {
  let now = Date.parse('2026-01-01T00:00:00Z')
  const simulator = await startSimulator({ now: () => now, ...options })
  t.after(() => simulator.close())
  return { simulator, pass: (milliseconds) => (now += milliseconds) }
}

/** The client in a Basic field: form-encoded for generic (RFC 6749 section 2.3.1), as it is for the others. */
export function basic({ settings }: Simulator, encoded = settings.provider === 'generic'): string {
  const encode = (text: string) => (encoded ? new URLSearchParams({ '': text }).toString().slice(1) : text)
  return `Basic ${Buffer.from(`${encode(settings.clientId)}:${encode(settings.clientSecret)}`).toString('base64')}`
}

/** A token request with the client in a Basic field; `headers` may say otherwise. */
export function tokenCall(
  simulator: Simulator,
  params: Record<string, string>,
  headers: Record<string, string> = { authorization: basic(simulator) },
): Promise<Response> {
  return fetch(simulator.tokenUrl, { method: 'POST', headers, body: new URLSearchParams(params), redirect: 'manual' })
}

export function refresh(
  simulator: Simulator,
  refreshToken: string,
  extra: Record<string, string> = {},
): Promise<Response> {
  return tokenCall(simulator, { grant_type: 'refresh_token', refresh_token: refreshToken, ...extra })
}

export interface TokenAnswer {
  access_token: string
  refresh_token: string
  refresh_token_expires_in: number
  expires_in: number
  error: string
  error_description: string
}

export async function answerOf(response: Response | Promise<Response>): Promise<TokenAnswer> {
  return (await (await response).json()) as TokenAnswer
}

/** Status and error code: what decides about a refused token call. */
export async function refusal(response: Response | Promise<Response>): Promise<[number, string]> {
  const awaited = await response
  return [awaited.status, (await answerOf(awaited)).error]
}
