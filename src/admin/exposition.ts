/** What tells one sample of a family from the others. */
export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  /** A histogram's samples are named after their family with one of these. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly labels?: Labels
  readonly value: number
}

/** One metric with all its series, read when Prometheus asks. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: () => Iterable<Sample>
}

/** Media type of exposition(): Prometheus' text format, which every version of it reads. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

/** Writes the families in the text format 0.0.4 (Prometheus, "Exposition formats"). */
export function exposition(families: readonly Family[]): string {
  let text = ''
  for (const { name, help, type, samples } of families) {
    text += `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`
    for (const { suffix = '', labels = {}, value } of samples())
      text += `${name}${suffix}${braced(labels)} ${number(value)}\n`
  }
  return text
}

function braced(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(String(value)).replaceAll('"', '\\"')}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** A name from the configuration may hold anything. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** As Go's ParseFloat reads it. */
export function number(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
