import { z } from 'zod'

/** The small value types of the config file. Each takes what YAML or an environment variable gives and returns the unit the program uses. */

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnits: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Milliseconds of "250ms", "30s", "5m", "12h" or "60d"; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  return match ? Math.round(Number(match[1]) * (durationUnits[match[2] ?? ''] ?? NaN)) : undefined
}

/** Bytes of "512B", "64KiB", "1MiB"; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/.exec(text)
  return match ? Math.round(Number(match[1]) * (sizeUnits[match[2] ?? ''] ?? NaN)) : undefined
}

function measured(parse: (text: string) => number | undefined, message: string) {
  return z.string().transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value
    context.issues.push({ code: 'custom', message, input: undefined })
    return z.NEVER
  })
}

const durationText = measured(parseDuration, 'must be a duration such as 250ms, 30s, 5m, 12h or 60d')
const sizeText = measured(parseSize, 'must be a size such as 512B, 64KiB or 1MiB')

/** A duration in milliseconds; with a null default the setting may be null (off). */
export function duration(byDefault: string): z.ZodPrefault<typeof durationText>
export function duration(byDefault: null): z.ZodDefault<z.ZodNullable<typeof durationText>>
export function duration(byDefault: string | null) {
  return byDefault === null ? durationText.nullable().default(null) : durationText.prefault(byDefault)
}

/** A size in bytes. */
export const size = (byDefault: string) => sizeText.prefault(byDefault)

const booleanValue = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])

/** true or false, also as the text that an environment variable gives. */
export function scalarBoolean(byDefault: boolean): z.ZodDefault<typeof booleanValue>
export function scalarBoolean(byDefault: null): z.ZodDefault<z.ZodNullable<typeof booleanValue>>
export function scalarBoolean(byDefault: boolean | null) {
  return byDefault === null ? booleanValue.nullable().default(null) : booleanValue.default(byDefault)
}

const numberValue = z.union([
  z.int().nonnegative(),
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number),
])

/** A whole number of 0 or more, also as text. */
export function scalarNumber(): typeof numberValue
export function scalarNumber(byDefault: number): z.ZodDefault<typeof numberValue>
export function scalarNumber(byDefault?: number) {
  return byDefault === undefined ? numberValue : numberValue.default(byDefault)
}

/** A value that no message may print. The empty text (an unset `${NAME:-}`) is the same as null. */
export const secret = () =>
  z
    .string()
    .transform((text) => (text === '' ? null : text))
    .nullable()
    .default(null)

const addressText = z
  .string()
  .regex(/^(unix:\/.+|\[[0-9A-Fa-f:.]+\]:\d{1,5}|[^:\s]*:\d{1,5})$/, 'must be host:port or unix:/path')
const addressList = z.union([addressText.transform((text) => [text]), z.array(addressText).min(1)])

/** One address or a list; always a list afterwards. */
export function listenAddress(byDefault: string): z.ZodDefault<typeof addressList>
export function listenAddress(byDefault: null): z.ZodDefault<z.ZodNullable<typeof addressList>>
export function listenAddress(byDefault: string | null) {
  return byDefault === null ? addressList.nullable().default(null) : addressList.default([byDefault])
}
