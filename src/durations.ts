const units = [
  { name: 'second', milliseconds: 1000, below: 90_000 },
  { name: 'minute', milliseconds: 60_000, below: 90 * 60_000 },
  { name: 'hour', milliseconds: 3_600_000, below: 36 * 3_600_000 },
  { name: 'day', milliseconds: 86_400_000, below: Infinity },
] as const

/** A span of time for people: the largest unit of which there are at least about two, rounded down ("52 minutes"). */
export function durationInWords(milliseconds: number): string {
  const span = Math.abs(milliseconds)
  const { name, milliseconds: size } = units.find(({ below }) => span < below) ?? units[3]
  const count = Math.floor(span / size)
  return `${count.toLocaleString('en')} ${name}${count === 1 ? '' : 's'}`
}
