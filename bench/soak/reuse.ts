import type { TokenCall } from '../../src/simulator/token-endpoint.ts'

/** Milliseconds between the provider's answer and its being saved, on a busy machine: a kill within that time loses it. */
const savedWithin = 5_000

/**
 * Presentations of a refresh token that was consumed before, without those that a lost answer explains: the provider was told to lose it, or
 * the process that waited for it was killed. There must be none.
 */
export function unexplainedReuse(calls: readonly TokenCall[], kills: readonly number[]): TokenCall[] {
  const consumedBy = new Map<string, TokenCall>()
  const unexplained: TokenCall[] = []
  for (const call of calls) {
    const token = call.params['refresh_token']
    if (token === undefined) continue
    const earlier = consumedBy.get(token)
    if (call.reason === 'reused' || (call.reason === 'revoked' && earlier !== undefined)) {
      const lost = earlier?.outcome.includes('answer lost') ?? false
      const killed = kills.some((at) => earlier !== undefined && at >= earlier.at && at <= earlier.at + savedWithin)
      if (!lost && !killed) unexplained.push(call)
    }
    if (call.issued !== undefined && call.issued !== token) consumedBy.set(token, call)
  }
  return unexplained
}
