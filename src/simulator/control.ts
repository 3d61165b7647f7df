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
    simulator.inject(faultFrom(input))
    return { faults: simulator.stats().faults }
  },
  'clear-faults': (simulator) => simulator.clearFaults(),
  seed: (simulator) => ({ refreshToken: simulator.seedRefreshToken() }),
  'seed-customer': (simulator) => simulator.seedCustomer(),
  device: (simulator, { userCode, decision }) => {
    const known = simulator.decideDevice(textOf(userCode), decision === 'deny' ? 'deny' : 'allow')
    if (!known) throw new RangeError('no device waits under this user code')
  },
}

const gets: Record<string, Command> = {
  stats: (simulator) => simulator.stats(),
  'token-requests': (simulator) => simulator.tokenRequests,
}

function textOf(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw new RangeError('a text is missing, or something else is in its place')
}

/** `{ fault: "token-500@3" }` or `{ name, value?, count?, on? }`; `count` and `on` may stand beside the text too. */
function faultFrom({ fault, name, value, count, on }: Record<string, unknown>): Fault {
  const base = parseFault(textOf(fault ?? name))
  return {
    ...base,
    ...(value !== undefined && { value: textOf(value) }),
    ...(count !== undefined && { count: Number(count) }),
    ...(on !== undefined && { on: textOf(on) }),
  }
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
