import type { z } from 'zod'
import { formatDuration, formatSize, type Traits } from './scalars.ts'
import { configSchema } from './schema.ts'
import { describe, hasFileTwin, type Shape } from './shape.ts'

/** One setting of the reference. `<name>` stands for a credential, `[]` for an element of a list. */
export interface Setting {
  readonly path: string
  readonly type: string
  /** As it would be written in the file; undefined when the setting is required or has no value. */
  readonly default: string | undefined
  readonly required: boolean
  readonly secret: boolean
  readonly hasFileTwin: boolean
  readonly description: string
}

/** Every setting, in the order of the schema. */
export function allSettings(): Setting[] {
  return settingsOf(configSchema, '')
}

function settingsOf(schema: z.core.$ZodType, path: string): Setting[] {
  const { shape, traits, nullable, optional, default: byDefault, description } = describe(schema)
  const inner = innerSettings(shape, path)
  if (inner.length > 0 && description === undefined) return inner
  const type = nullable ? `${typeText(schema)} or null` : typeText(schema)
  const setting: Setting = {
    path,
    type,
    default: byDefault === undefined ? undefined : valueText(schema, byDefault),
    required: byDefault === undefined && !optional,
    secret: traits.secret === true,
    hasFileTwin: hasFileTwin(schema),
    description: description ?? '',
  }
  return [setting, ...inner]
}

function innerSettings(shape: Shape, path: string): Setting[] {
  if (shape.kind === 'object') {
    return Object.entries(shape.entries).flatMap(([key, entry]) =>
      settingsOf(entry, path === '' ? key : `${path}.${key}`),
    )
  }
  const element = shape.kind === 'record' ? shape.value : shape.kind === 'array' ? shape.element : undefined
  if (element === undefined || describe(element).shape.kind !== 'object') return []
  return innerSettings(describe(element).shape, shape.kind === 'record' ? `${path}.<name>` : `${path}[]`)
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  template_literal: 'credential:NAME',
  int: 'number',
  boolean: 'true or false',
}

function typeText(schema: z.core.$ZodType): string {
  const { shape, traits } = describe(schema)
  if (traits.unit !== undefined) return traits.unit
  if (traits.file !== undefined) return traits.file === 'pem' ? 'file path or PEM text' : 'folder'
  if (shape.kind === 'array') return `list of ${typeText(shape.element)}`
  if (shape.kind === 'record') return `map of ${typeText(shape.value)}`
  if (shape.kind === 'object') return 'map'
  if (shape.kind === 'union') return unionText(shape.options)
  if (shape.values.length > 0) return shape.values.map((value) => (value === '' ? '""' : String(value))).join(' \\| ')
  return typeNames[shape.type] ?? shape.type
}

/** A boolean or number that may also come as text is told once. */
function unionText(options: readonly z.core.$ZodType[]): string {
  const shapes = options.map((option) => describe(option).shape)
  const scalar = shapes.find(
    (shape) => shape.kind === 'scalar' && (shape.type === 'boolean' || shape.type === 'number'),
  )
  if (scalar?.kind === 'scalar') return typeNames[scalar.type] ?? scalar.type
  const texts = options.map(typeText).filter((text) => text !== '""')
  if (texts.includes('false'))
    return [...new Set(texts)]
      .filter((text) => text !== 'false')
      .concat('false')
      .join(' or ')
  return [...new Set(texts)].join(' or ')
}

/** A default in the form of the file: durations and sizes with their unit. */
function valueText(schema: z.core.$ZodType, value: unknown): string {
  const { shape, traits } = describe(schema)
  if (Array.isArray(value) && shape.kind === 'array') {
    return `[${value.map((item) => valueText(shape.element, item)).join(', ')}]`
  }
  if (typeof value === 'number') return withUnit(traits, value)
  if (typeof value === 'string')
    return /^[\w./:{} @-]+$/.test(value) && value.trim() === value ? value : JSON.stringify(value)
  return JSON.stringify(value)
}

/** A number in the unit of its setting, such as 5m or 1MiB. */
export function withUnit(traits: Traits, value: number): string {
  if (traits.unit === undefined) return String(value)
  return traits.unit === 'duration' ? formatDuration(value) : formatSize(value)
}
