const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds from `250ms`, `30s`, `5m`, `12h` or `60d`; throws a RangeError that names the forms for anything else. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim())
  if (match === null) throw new RangeError(`"${text}" is not a duration; write 250ms, 30s, 5m, 12h or 60d`)
  return Number(match[1]) * units[match[2] as keyof typeof units]
}
