import { z } from 'zod'

/** The small value types of the config file. Each takes what YAML or an environment variable gives and returns the unit the program uses. */

/** What the loader, `config print` and the reference need to know of a setting beside its type. */
export interface Traits {
  /** Never printed; can also be given as <name>File. */
  readonly secret?: true
  readonly unit?: 'duration' | 'size'
  /** pem: a file path or PEM text, PEM text afterwards. directory: made absolute. */
  readonly file?: 'pem' | 'directory'
}

export const traits = z.registry<Traits>()

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnits: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Milliseconds of "250ms", "30s", "5m", "12h" or "60d"; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  return parseMeasure(text, durationUnits)
}

/** Bytes of "512B", "64KiB", "1MiB"; undefined when it is none. */
function parseSize(text: string): number | undefined {
  return parseMeasure(text, sizeUnits)
}

/** The shortest text of a number of milliseconds, such as 90s or 2h. */
export const formatDuration = (milliseconds: number) => formatMeasure(milliseconds, durationUnits)

/** The shortest text of a number of bytes, such as 64KiB. */
export const formatSize = (bytes: number) => formatMeasure(bytes, sizeUnits)

function parseMeasure(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([A-Za-z]+)$/.exec(text)
  const unit = units[match?.[2] ?? '']
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit)
}

function formatMeasure(value: number, units: Readonly<Record<string, number>>): string {
  const [name, factor] = Object.entries(units).findLast(([, unit]) => value % unit === 0 && value >= unit) ?? ['', 1]
  return name === '' ? `0${Object.keys(units)[0] ?? ''}` : `${value / factor}${name}`
}

function measured(unit: 'duration' | 'size', parse: (text: string) => number | undefined, message: string) {
  const schema = z.string({ error: message }).transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value
    context.issues.push({ code: 'custom', message, input: undefined })
    return z.NEVER
  })
  return schema.register(traits, { unit })
}

const durationText = measured('duration', parseDuration, 'must be a duration such as 250ms, 30s, 5m, 12h or 60d')
const sizeText = measured('size', parseSize, 'must be a size such as 512B, 64KiB or 1MiB')
const optionalDuration = z.union([z.literal('').transform(() => null), durationText], {
  error: 'must be a duration such as 250ms, 30s, 5m, 12h or 60d, or null',
})

/** A duration in milliseconds; with a null default the setting may be null (off). */
export function duration(byDefault: string): z.ZodPrefault<typeof durationText>
export function duration(byDefault: null): z.ZodDefault<z.ZodNullable<typeof optionalDuration>>
export function duration(byDefault: string | null) {
  return byDefault === null ? optionalDuration.nullable().default(null) : durationText.prefault(byDefault)
}

/** A size in bytes. */
export const size = (byDefault: string) => sizeText.prefault(byDefault)

const booleanValue = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')], {
  error: 'must be true or false',
})

/** true or false, also as the text that an environment variable gives. */
export function scalarBoolean(byDefault: boolean): z.ZodDefault<typeof booleanValue>
export function scalarBoolean(byDefault: null): z.ZodDefault<z.ZodNullable<typeof booleanValue>>
export function scalarBoolean(byDefault: boolean | null) {
  return byDefault === null ? booleanValue.nullable().default(null) : booleanValue.default(byDefault)
}

const numberValue = z.union(
  [
    z.int().nonnegative(),
    z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number),
  ],
  {
    error: 'must be a whole number of 0 or more',
  },
)

/** A whole number of 0 or more, also as text. */
export function scalarNumber(): typeof numberValue
export function scalarNumber(byDefault: number): z.ZodDefault<typeof numberValue>
export function scalarNumber(byDefault?: number) {
  return byDefault === undefined ? numberValue : numberValue.default(byDefault)
}

/** Text or null. The empty text (an unset `${NAME:-}`) is the same as null. */
export const optionalText = () =>
  z
    .string()
    .transform((text) => (text === '' ? null : text))
    .nullable()
    .default(null)

/** A value that no message may print; null when it is not set. */
export const secret = () => optionalText().register(traits, { secret: true })

/** A file path or PEM text; the loader reads the file, so PEM text or null afterwards. */
export const pem = () => optionalText().register(traits, { file: 'pem' })

const addressMessage = 'must be host:port, [IPv6]:port or unix:/path'
const addressText = z
  .string({ error: addressMessage })
  .regex(/^(unix:\/.+|\[[0-9A-Fa-f:.]+\]:\d{1,5}|[^:\s/]*:\d{1,5})$/, addressMessage)
const addressList = z.union([addressText.transform((text) => [text]), z.array(addressText).min(1)], {
  error: `${addressMessage}, or a list of them`,
})

/** One address or a list; always a list afterwards. */
export function listenAddress(byDefault: string): z.ZodDefault<typeof addressList>
export function listenAddress(byDefault: null): z.ZodDefault<z.ZodNullable<typeof addressList>>
export function listenAddress(byDefault: string | null) {
  return byDefault === null ? addressList.nullable().default(null) : addressList.default([byDefault])
}

/** A list of addresses, or false for none. */
export const optionalListenAddress = (byDefault: string) =>
  z
    .union([z.literal(false), z.literal('false').transform(() => false as const), addressList], {
      error: `${addressMessage}, a list of them, or false`,
    })
    .default([byDefault])

const originMessage = 'must be an origin such as https://app.example.com: scheme, host and port, no path'

/** scheme://host[:port] as browsers write it: lower case, default port left out, no slash at the end. */
export const originText = z.string({ error: originMessage }).transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const plain = url !== undefined && url.pathname === '/' && /^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text)
  if (plain) return url.origin
  context.issues.push({ code: 'custom', message: originMessage, input: undefined })
  return z.NEVER
})

/** An origin or null; the empty text is the same as null. */
export const optionalOrigin = () =>
  z
    .union([z.literal('').transform(() => null), originText], { error: originMessage })
    .nullable()
    .default(null)

/** RFC 9110 section 5.1. */
export const headerName = z
  .string({ error: 'must be an HTTP field name' })
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be an HTTP field name')

/** RFC 9110 section 5.5, one char per byte. */
export const headerValue = z
  .string({ error: 'must be text' })
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'must not hold line breaks, control characters or characters beyond Latin-1')
