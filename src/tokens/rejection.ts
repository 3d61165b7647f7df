/**
 * Does an upstream's answer mean that a token (or a key) is no good? Judged by status and body together: SKY answers 401 for an expired token, for
 * a bad key and for a missing role alike, and only the first is worth a refresh.
 */

/** How much of a body, decoded, is looked at. */
export const judgedBytes = 64 * 1024

export interface Rule {
  readonly status: number
  readonly onlyBody?: readonly string[] | undefined
  readonly unlessBody?: readonly string[] | undefined
}

/** A condition that is an empty list holds nothing that could be found, so it counts as absent. */
function hasBodyCondition(rule: Rule): boolean {
  return (rule.onlyBody?.length ?? 0) > 0 || (rule.unlessBody?.length ?? 0) > 0
}

/** True when an answer of this status can only be judged with its body at hand. */
export function needsBody(rules: readonly Rule[], status: number): boolean {
  return rules.some((rule) => rule.status === status && hasBodyCondition(rule))
}

/** The first rule that says "rejected". `body` are the first bytes of the decoded body (at most `judgedBytes`), undefined when it was not needed. */
export function matchingRule<R extends Rule>(
  rules: readonly R[],
  status: number,
  body: Buffer | undefined,
): R | undefined {
  return rules.find((rule) => rule.status === status && bodyFits(rule, body))
}

function bodyFits(rule: Rule, body: Buffer | undefined): boolean {
  if (!hasBodyCondition(rule)) return true
  const holds = (text: string) => body?.includes(text) ?? false
  if (rule.onlyBody !== undefined && rule.onlyBody.length > 0 && !rule.onlyBody.some(holds)) return false
  return !(rule.unlessBody ?? []).some(holds)
}

/**
 * Which of the rejected tokens are to be renewed: those whose recorded expiry has passed, or all of them when none has.
 */
export function tokensToRenew<T extends { expired(now: number): boolean }>(
  candidates: readonly T[],
  now: number,
): readonly T[] {
  const expired = candidates.filter((token) => token.expired(now))
  return expired.length > 0 ? expired : candidates
}
