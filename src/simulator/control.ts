import type { Fault } from './faults.ts'
import { parseFault } from './faults.ts'
import type { Answer, Exchange } from './http.ts'
import { json, readBody } from './http.ts'
import type { Simulator } from './simulator.ts'

export const controlPath = '/__simulator/'

type Command = (simulator: Simulator, input: Record<string, unknown>) => unknown

const posts: Record<string, Command> = {
  'revoke-access-tokens': (simulator) => simulator.revokeAccessTokens(),
  'revoke-grants': (simulator) => simulator.revokeGrants(),
  'expire-refresh-tokens': (simulator) => simulator.expireRefreshTokens(),
  fault: (simulator, input) => {
    if (typeof input.fault === 'string') simulator.inject({ ...parseFault(input.fault), ...counted(input) })
    else simulator.inject(input as unknown as Fault)
    return { faults: simulator.stats().faults }
  },
  'clear-faults': (simulator) => simulator.clearFaults(),
  seed: (simulator) => ({ refreshToken: simulator.seedRefreshToken() }),
  'seed-customer': (simulator) => simulator.seedCustomer(),
  device: (simulator, { userCode, decision }) => {
    const known = simulator.decideDevice(String(userCode), decision === 'deny' ? 'deny' : 'allow')
    if (!known) throw new RangeError('no device waits under this user code')
  },
}

const gets: Record<string, Command> = {
  stats: (simulator) => simulator.stats(),
  'token-requests': (simulator) => simulator.tokenRequests,
}

function counted({ count, on }: Record<string, unknown>): Partial<Fault> {
  return { ...(count !== undefined && { count: Number(count) }), ...(typeof on === 'string' && { on }) }
}

/** The control plane: JSON under /__simulator/, so that curl or a CI job can drive the simulator. */
export async function answerControl(simulator: Simulator, exchange: Exchange): Promise<Answer> {
  const name = exchange.path.slice(controlPath.length)
  const body = await readBody(exchange.request)
  // Where the fault token-redirect points to: nobody should ever come.
  if (name === 'redirected') {
    simulator.provider.counts.redirectsFollowed++
    return json(200, { access_token: 'from-a-redirect', token_type: 'Bearer', expires_in: 3600 })
  }
  const commands = exchange.method === 'POST' ? posts : gets
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    return json(404, { error: 'unknown command', post: Object.keys(posts), get: Object.keys(gets) })
  }
  try {
    const input: unknown = body.bytes === 0 ? {} : JSON.parse(body.head.toString('utf8'))
    if (typeof input !== 'object' || input === null) throw new RangeError('the body must be a JSON object')
    return json(200, command(simulator, input as Record<string, unknown>) ?? { ok: true })
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error
    return json(400, { error: error.message })
  }
}
