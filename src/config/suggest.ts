/** The candidate that was probably meant, or undefined. Looks through case, dashes and underscores: client_id is clientId. */
export function suggest(text: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(text)
  if (wanted === '' || wanted.length > 64) return undefined
  let best: string | undefined
  let least = Infinity
  for (const candidate of candidates) {
    const other = plain(candidate)
    const distance = wanted === other ? 0 : editDistance(wanted, other)
    if (distance <= Math.min(3, Math.floor(Math.max(wanted.length, other.length) / 3)) && distance < least) {
      best = candidate
      least = distance
    }
  }
  return best
}

/** "; did you mean X?", or nothing. Never repeats the text itself, which may be a secret in the wrong place. */
export function didYouMean(text: unknown, candidates: Iterable<string>): string {
  const found = typeof text === 'string' ? suggest(text, candidates) : undefined
  return found === undefined ? '' : `; did you mean ${found}?`
}

const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, '')

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1)
      }
      current.push(cost)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? Infinity
}
