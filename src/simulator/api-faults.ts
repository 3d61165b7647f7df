import type { Fault, FaultName } from './faults.ts'
import type { Answer, Exchange } from './http.ts'
import type { ApiAnswers } from './provider.ts'

const text = (status: number, body: string): Answer => ({ status, headers: { 'content-type': 'text/plain' }, body })

const answers: Partial<Record<FaultName, (provider: ApiAnswers, value: number, now: number) => Answer | undefined>> = {
  'api-401': (provider) => provider.expired,
  'api-401-key': (provider) => provider.key,
  'api-401-role': (provider) => provider.role,
  'api-403': (provider) => provider.forbidden,
  'api-403-quota': (provider, _value, now) => provider.quota(406, now),
  'api-429': (provider, seconds, now) => provider.tooMany(seconds, now),
  'api-early': () => ({ ...text(413, 'Payload Too Large'), headers: { connection: 'close' } }),
  'api-500': () => text(500, 'Internal Server Error'),
  'api-503': () => text(503, 'no healthy upstream'),
}

const half = 1_024

const acts: Partial<Record<FaultName, (exchange: Exchange) => void>> = {
  'api-timeout': () => undefined,
  'api-reset': (exchange) => exchange.drop(),
  'api-cut': (exchange) => {
    exchange.response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 * half })
    exchange.response.write('{"cut":"'.padEnd(half, 'x'), () => exchange.drop())
  },
}

/** Throws a RangeError when the provider has no answer of that kind. */
export function checkApiFault({ name }: Fault, provider: ApiAnswers): void {
  if (answers[name] !== undefined && answers[name](provider, 1, 0) === undefined) {
    throw new RangeError(`fault ${name}: this provider has no such answer`)
  }
}

/** Answers in the place of the API when a fault says so; false when none does. */
export function answerWithFault(
  faults: readonly Fault[],
  exchange: Exchange,
  provider: ApiAnswers,
  now: number,
): boolean {
  for (const { name, value } of faults) {
    const answer = answers[name]?.(provider, Number(value), now)
    const act = acts[name]
    if (answer !== undefined) exchange.send(answer)
    act?.(exchange)
    if (answer !== undefined || act !== undefined) return true
  }
  return false
}
