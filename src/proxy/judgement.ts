import type { TokenSet } from '../tokens/token-set.ts'
import type { RenewWhen } from '../tokens/token-source.ts'
import { RenewalDeclined } from '../tokens/token-source.ts'
import { matchingRule, needsBody, tokensToRenew } from '../tokens/rejection.ts'
import type { ServedRoute } from './routes.ts'
import type { Sent } from './sent.ts'
import type { ReplayObstacle } from './setup.ts'

export interface RejectedToken {
  readonly index: number
  readonly token: TokenSet
  readonly when: RenewWhen
}

/** What an answer says about what the request was sent with. */
export type Verdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'token'; readonly rejected: readonly RejectedToken[] }
  | { readonly kind: 'key'; readonly index: number }

const fine: Verdict = { kind: 'fine' }

/** True when the body of an answer with this status takes part in the verdict. */
export function bodyMatters(route: ServedRoute, status: number): boolean {
  return (
    route.tokenRules.some((rules) => needsBody(rules, status)) ||
    route.credentials.some(
      ({ config }, index) => route.keyRings[index] !== undefined && needsBody(config.keyRejected, status),
    )
  )
}

/** `body`: the first 64 KiB, decoded, when bodyMatters(). A rejected token comes before a rejected key. */
export function judge(route: ServedRoute, status: number, body: Buffer | undefined, sent: Sent, now: number): Verdict {
  const rejected: (RejectedToken & { expired(now: number): boolean })[] = []
  route.tokenRules.forEach((rules, index) => {
    const rule = matchingRule(rules, status, body)
    const token = sent.tokens[index]
    if (rule === undefined || token === undefined) return
    rejected.push({ index, token, when: rule.when, expired: (at) => token.expired(at) })
  })
  if (rejected.length > 0) return { kind: 'token', rejected: tokensToRenew(rejected, now) }
  const key = route.credentials.findIndex(
    ({ config }, index) =>
      route.keyRings[index] !== undefined && matchingRule(config.keyRejected, status, body) !== undefined,
  )
  return key === -1 ? fine : { kind: 'key', index: key }
}

export interface Renewal {
  /** New tokens by the index of their credential; none when every source declined. */
  readonly renewed: ReadonlyMap<number, TokenSet>
  /** Why one of them did not come; undefined also where the answer turned out not to be about it. */
  readonly obstacle: Exclude<ReplayObstacle, 'body-too-large'> | undefined
}

/** Renews every rejected token. Never rejects: a source that gives nothing makes the answer pass. */
export async function renewAll(sent: Sent, rejected: readonly RejectedToken[]): Promise<Renewal> {
  const renewed = new Map<number, TokenSet>()
  let obstacle: Renewal['obstacle']
  await Promise.all(
    rejected.map(async ({ index, token, when }) => {
      try {
        const next = await sent.sources[index]?.renew(token, when)
        if (next !== undefined && next.accessToken !== token.accessToken) renewed.set(index, next)
        else obstacle ??= 'refresh-failed'
      } catch (error) {
        const why = error instanceof RenewalDeclined ? error.why : 'refresh-failed'
        if (why !== 'not-expired') obstacle = obstacle === 'refresh-failed' ? obstacle : why
      }
    }),
  )
  return { renewed, obstacle }
}
