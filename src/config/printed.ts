import { Document, isCollection, isMap as isYamlMap, isPair, isScalar } from 'yaml'
import type { z } from 'zod'
import { formatPath, isMap, type Path } from './path.ts'
import { configSchema, type Config } from './schema.ts'
import { withUnit } from './settings.ts'
import { describe } from './shape.ts'
import type { Sources } from './sources.ts'

const masked = '<masked>'

/** The configuration as it holds, in the form of the file: durations with units, secrets masked. */
export function printable(config: Config): Record<string, unknown> {
  return show(configSchema, config) as Record<string, unknown>
}

/** The same as YAML, each setting with the place it came from. */
export function printableYaml(config: Config, sources: Sources): string {
  const document = new Document(printable(config))
  comment(document.contents, [], sources)
  return document.toString({ lineWidth: 0, flowCollectionPadding: true })
}

/** Path and source of every setting. */
export function sourcesOf(config: Config, sources: Sources): Record<string, string> {
  const result: Record<string, string> = {}
  const walk = (value: unknown, path: Path) => {
    if (isSection(path)) {
      const entries = Array.isArray(value) ? [...value.entries()] : isMap(value) ? Object.entries(value) : []
      for (const [key, item] of entries) walk(item, [...path, key])
    } else result[formatPath(path)] = sources.describe(path)
  }
  walk(printable(config), [])
  return result
}

function show(schema: z.core.$ZodType, value: unknown): unknown {
  const { shape, traits } = describe(schema)
  if (traits.secret === true) return mask(value)
  if (traits.file === 'pem' && typeof value === 'string') return '<PEM text>'
  if (typeof value === 'number') return traits.unit === undefined ? value : withUnit(traits, value)
  if (shape.kind === 'union') {
    const option = shape.options.find((candidate) => describe(candidate).traits.unit !== undefined)
    return option === undefined ? value : show(option, value)
  }
  if (Array.isArray(value)) return shape.kind === 'array' ? value.map((item) => show(shape.element, item)) : value
  if (!isMap(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const inner = shape.kind === 'record' ? shape.value : shape.kind === 'object' ? shape.entries[key] : undefined
      return [key, inner === undefined ? item : show(inner, item)]
    }),
  )
}

/** Names of headers and parameters may be seen, their values not; {uuid} and a Redis URL without a password hide nothing. */
function mask(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(mask)
  if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mask(item)]))
  const harmless =
    value === null || value === '{uuid}' || (typeof value === 'string' && /^rediss?:\/\/[^@?]*$/.test(value))
  return harmless ? value : masked
}

/** Maps that the schema names, down to single settings; credentials and routes are lists of those. */
function isSection(path: Path): boolean {
  let schema: z.core.$ZodType = configSchema
  for (const part of path) {
    const { shape } = describe(schema)
    if (shape.kind === 'object' && typeof part === 'string') schema = shape.entries[part] ?? schema
    else if (shape.kind === 'record') schema = shape.value
    else if (shape.kind === 'array') schema = shape.element
  }
  const { shape } = describe(schema)
  const element = shape.kind === 'record' ? shape.value : shape.kind === 'array' ? shape.element : undefined
  if (element === undefined) return shape.kind === 'object'
  return path.length === 1 && describe(element).shape.kind === 'object'
}

function comment(node: unknown, path: Path, sources: Sources): void {
  if (!isSection(path) || isScalar(node)) {
    if (isCollection(node)) node.flow = true
    if (isCollection(node) || isScalar(node)) node.comment = ` ${sources.describe(path)}`
    return
  }
  if (!isCollection(node)) return
  for (const [index, item] of node.items.entries()) {
    if (isYamlMap(node) && isPair(item)) comment(item.value, [...path, String(item.key)], sources)
    else comment(item, [...path, index], sources)
  }
}
