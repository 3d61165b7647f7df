import type { z } from 'zod'
import type { ReferencedFiles } from './files.ts'
import { isMap, type Path } from './path.ts'
import type { Finding } from './problems.ts'
import { describe, hasFileTwin, takes, takesText, type Shape } from './shape.ts'

export interface MaterialiseContext {
  readonly files: ReferencedFiles
  readonly report: (finding: Finding) => void
  /** How a scalar is written in the file: 0123 stays 0123 where text is wanted. */
  readonly written: (path: Path) => string | undefined
  /** Told when a setting came from its File twin. */
  readonly onTwin: (setting: Path, twin: Path) => void
}

/** Reads the files that stand in for values, and turns scalars into the kind that the schema wants. Returns a new tree. */
export function materialise(schema: z.core.$ZodType, value: unknown, path: Path, context: MaterialiseContext): unknown {
  const { shape, traits, nullable } = describe(schema)
  if (value === null) return nullable || shape.kind === 'scalar' || shape.kind === 'union' ? null : undefined
  if (typeof value === 'string') {
    if (traits.file === 'directory' && value !== '') return context.files.resolve(value)
    return traits.file === 'pem' ? readPem(value, path, context) : value
  }
  if (typeof value === 'number' || typeof value === 'boolean') {
    return takesText(schema) && !takes(schema, value) ? (context.written(path) ?? String(value)) : value
  }
  if (Array.isArray(value)) return materialiseList(shape, value, path, context)
  if (isMap(value)) return materialiseMap(shape, value, path, context)
  return value
}

function materialiseList(shape: Shape, list: unknown[], path: Path, context: MaterialiseContext): unknown[] {
  const options = shape.kind === 'union' ? shape.options.map((option) => describe(option).shape) : [shape]
  const array = options.find((option) => option.kind === 'array')
  if (array === undefined) return list
  return list.map((item, index) => materialise(array.element, item, [...path, index], context))
}

function materialiseMap(shape: Shape, map: Record<string, unknown>, path: Path, context: MaterialiseContext): unknown {
  if (shape.kind !== 'object' && shape.kind !== 'record') return map
  const source = shape.kind === 'object' ? readTwins(shape.entries, map, path, context) : map
  const entries = Object.entries(source).map(([key, item]) => {
    const schema =
      shape.kind === 'record' ? shape.value : Object.hasOwn(shape.entries, key) ? shape.entries[key] : undefined
    return [key, schema === undefined ? item : materialise(schema, item, [...path, key], context)] as const
  })
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined))
}

/** clientSecretFile becomes clientSecret, and so on for every secret. */
function readTwins(
  entries: Readonly<Record<string, z.core.$ZodType>>,
  map: Record<string, unknown>,
  path: Path,
  context: MaterialiseContext,
): Record<string, unknown> {
  const result = { ...map }
  for (const [key, schema] of Object.entries(entries)) {
    const twin = `${key}File`
    if (!Object.hasOwn(map, twin) || !hasFileTwin(schema)) continue
    Reflect.deleteProperty(result, twin)
    const file = map[twin]
    if (file === null || file === '') continue
    const at = [...path, twin]
    if (typeof file !== 'string') context.report({ path: at, message: 'must be the path of a file' })
    else if (isSet(map[key])) context.report({ path: at, message: `${key} and ${twin} are both set; keep one` })
    else {
      const read = context.files.read(file)
      const text = 'text' in read ? read.text : ''
      if ('problem' in read) context.report({ path: at, message: read.problem })
      else if (text === '') context.report({ path: at, message: 'the file is empty' })
      context.onTwin([...path, key], at)
      result[key] = describe(schema).shape.kind === 'array' ? text.split(/[\r\n]+/).filter((line) => line !== '') : text
    }
  }
  return result
}

const isSet = (value: unknown) =>
  value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)

const pemBegin = /-----BEGIN [A-Z0-9 ]+-----/

function readPem(value: string, path: Path, context: MaterialiseContext): string {
  if (value === '' || pemBegin.test(value)) return value
  if (/[\r\n]/.test(value)) {
    context.report({ path, message: 'is neither a file path nor PEM text' })
    return ''
  }
  const read = context.files.read(value)
  if ('problem' in read) context.report({ path, message: read.problem })
  else if (!pemBegin.test(read.text))
    context.report({ path, message: 'the file holds no PEM text (-----BEGIN ...-----)' })
  else return read.text
  return ''
}
