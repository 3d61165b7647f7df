import fc from 'fast-check'
import type { Grant } from '../../src/tokens/grant.ts'
import { TokenSet } from '../../src/tokens/token-set.ts'

const time = fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') })
const text = fc.string({ unit: 'binary' })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
/** fast-check makes objects without a prototype unless told so, which no parser does. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { noNullPrototype: true })
const reason = fc.constantFrom('startup', 'expiry', 'rejected', 'keep_alive', 'renewal', 'manual')

export const anyGrant: fc.Arbitrary<Grant> = record({
  tokens: maybe(
    record({
      accessToken: text,
      refreshToken: maybe(text),
      issuedAt: time,
      expiresAt: maybe(time),
      refreshIssuedAt: maybe(time),
      refreshExpiresAt: maybe(time),
      scope: maybe(text),
    }).map((fields) => new TokenSet(fields)),
  ),
  attempt: maybe(record({ at: time, reason, fingerprint: text })),
  death: maybe(record({ at: time, error: text, message: text, fingerprint: maybe(text) })),
  usedSeeds: fc.array(text, { maxLength: 5 }),
  history: fc.array(record({ at: time, reason, outcome: fc.constantFrom('success', 'transient', 'fatal') }), {
    maxLength: 10,
  }),
})
