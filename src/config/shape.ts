import { z } from 'zod'
import { traits, type Traits } from './scalars.ts'

/** What a schema expects, seen through its wrappers. */
export type Shape =
  | { readonly kind: 'object'; readonly entries: Readonly<Record<string, z.core.$ZodType>> }
  | { readonly kind: 'record'; readonly value: z.core.$ZodType }
  | { readonly kind: 'array'; readonly element: z.core.$ZodType }
  | { readonly kind: 'union'; readonly options: readonly z.core.$ZodType[] }
  /** A scalar: string, number, boolean, enum, literal... */
  | { readonly kind: 'scalar'; readonly type: string; readonly values: readonly unknown[] }

export interface Described {
  readonly shape: Shape
  readonly traits: Traits
  readonly nullable: boolean
  readonly optional: boolean
  /** As it would be written in the file where the schema says so, else as the program sees it; undefined when there is none. */
  readonly default: unknown
  readonly description: string | undefined
}

/** Looks through defaults, null, optional and transforms to what may be written in the file. */
export function describe(schema: z.core.$ZodType): Described {
  let notes: Traits = {}
  let nullable = false
  let optional = false
  let byDefault: unknown
  let description: string | undefined
  let current = schema
  for (;;) {
    notes = { ...traits.get(current), ...notes }
    description ??= z.globalRegistry.get(current)?.description
    const { def } = (current as z.core.$ZodTypes)._zod
    if (def.type === 'default' || def.type === 'prefault') {
      byDefault ??= def.defaultValue
      current = def.innerType
    } else if (def.type === 'nullable' || def.type === 'optional') {
      nullable ||= def.type === 'nullable'
      optional ||= def.type === 'optional'
      current = def.innerType
    } else if (def.type === 'pipe') current = def.in
    else return { shape: shapeOf(def), traits: notes, nullable, optional, default: byDefault, description }
  }
}

function shapeOf(def: z.core.$ZodTypes['_zod']['def']): Shape {
  if (def.type === 'object') return { kind: 'object', entries: def.shape }
  if (def.type === 'record') return { kind: 'record', value: def.valueType }
  if (def.type === 'array') return { kind: 'array', element: def.element }
  if (def.type === 'union') return { kind: 'union', options: def.options }
  const values = def.type === 'enum' ? Object.values(def.entries) : def.type === 'literal' ? def.values : []
  return { kind: 'scalar', type: def.type, values }
}

/** Whether a number or boolean is welcome as such, or only its text. */
export function takes(schema: z.core.$ZodType, value: number | boolean): boolean {
  const { shape } = describe(schema)
  if (shape.kind === 'union') return shape.options.some((option) => takes(option, value))
  return shape.kind === 'scalar' && (shape.type === typeof value || shape.values.includes(value))
}

export function takesText(schema: z.core.$ZodType): boolean {
  const { shape } = describe(schema)
  if (shape.kind === 'union') return shape.options.some(takesText)
  return shape.kind === 'scalar' && (shape.type === 'string' || shape.type === 'template_literal')
}

export function takesList(schema: z.core.$ZodType): boolean {
  const { shape } = describe(schema)
  return shape.kind === 'array' || (shape.kind === 'union' && shape.options.some(takesList))
}

/** A secret can also be given as <name>File. */
export function hasFileTwin(schema: z.core.$ZodType): boolean {
  const { shape, traits: notes } = describe(schema)
  return notes.secret === true && notes.file === undefined && shape.kind !== 'record' && shape.kind !== 'object'
}
