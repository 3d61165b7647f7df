import type { z } from 'zod'
import { isMap, setAt, valueAt, type Path } from './path.ts'
import type { Finding } from './problems.ts'
import { configSchema, type Config } from './schema.ts'
import { describe } from './shape.ts'
import { didYouMean, suggest } from './suggest.ts'

/**
 * Checks the tree against the schema. Finds everything at once and still returns a whole Config, with defaults in the place of what was
 * wrong, so that the rules between settings can be checked in the same run.
 */
export function decode(tree: Record<string, unknown>): { config: Config; findings: Finding[] } {
  const findings: Finding[] = []
  // A repaired value can uncover at most the faults of the schema's own depth; the bound only guards against a fault of ours.
  for (let round = 0; round < 8; round++) {
    const result = configSchema.safeParse(tree, { error: sentence })
    if (result.success) return { config: result.data, findings }
    findings.push(...result.error.issues.flatMap((issue) => findingsOf(issue, tree)))
    for (const issue of result.error.issues) repair(tree, issue)
  }
  throw new Error('the configuration could not be decoded')
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map of settings',
  record: 'a map',
  array: 'a list',
}

/** Replaces the schema library's own messages, which repeat values. */
function sentence(issue: z.core.$ZodRawIssue): string {
  if (issue.code === 'invalid_type') {
    return issue.input === null ? 'has no value' : `must be ${kinds[issue.expected] ?? issue.expected}`
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String)
    return `must be one of ${values.join(', ')}${didYouMean(issue.input, values)}`
  }
  if (issue.code === 'too_small') {
    if (issue.origin === 'string') return 'must not be empty'
    return `must ${issue.origin === 'array' ? 'hold at least' : 'be at least'} ${issue.minimum}`
  }
  return 'is not valid'
}

function findingsOf(issue: z.core.$ZodIssue, tree: unknown): Finding[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path)
    return issue.keys.map((key) => unknownKey(path, key, valueAt(tree, [...path, key]), known))
  }
  if (issue.code === 'invalid_key') {
    const hidesKey = !printable(String(path.at(-1)), valueAt(tree, path))
    return [{ path, message: issue.issues[0]?.message ?? 'this key is not valid', at: 'key', hidesKey }]
  }
  // A missing setting is shown at the key of the map that lacks it.
  if (valueAt(tree, path) === undefined) return [{ path, message: 'is required', at: 'key' }]
  return [{ path, message: issue.message }]
}

/** A key is repeated only where it can hardly be a secret that lost its place, as in { clientSecret:abc }. */
function unknownKey(path: Path, key: string, value: unknown, known: readonly string[]): Finding {
  if (!printable(key, value) && suggest(key, known) === undefined) {
    return { path: [...path, key], message: 'holds a key that is no setting', at: 'key', hidesKey: true }
  }
  return { path: [...path, key], message: `unknown key${didYouMean(key, known)}`, at: 'key' }
}

const printable = (key: string, value: unknown) =>
  /^[A-Za-z][A-Za-z_-]{0,39}\d{0,2}$/.test(key) && value !== null && value !== undefined

/** The settings that may stand at a path. */
function knownKeys(path: Path): string[] {
  let schema: z.core.$ZodType = configSchema
  for (const part of path) {
    const { shape } = describe(schema)
    if (shape.kind === 'object') schema = shape.entries[part] ?? schema
    else if (shape.kind === 'record') schema = shape.value
    else if (shape.kind === 'array') schema = shape.element
  }
  const { shape } = describe(schema)
  return shape.kind === 'object' ? Object.keys(shape.entries) : []
}

const unknownRoute = (index: number) => ({
  path: `/\0${index}`,
  upstream: 'https://unknown.invalid',
  credential: '\0',
})

/** Takes out what is wrong; the default comes in its place. */
function repair(tree: Record<string, unknown>, issue: z.core.$ZodIssue): void {
  const path = issue.path.filter((part) => typeof part !== 'symbol')
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) setAt(tree, [...path, key], undefined)
    return
  }
  const [section, name, setting] = path
  if (section === 'version') tree['version'] = 1
  else if (section === 'routes' && typeof name === 'number') {
    const required: Readonly<Record<string, string>> = unknownRoute(name)
    if (!isMap(valueAt(tree, ['routes', name]))) setAt(tree, ['routes', name], required)
    else if (typeof setting === 'string') setAt(tree, ['routes', name, setting], required[setting])
  } else if (section === 'credentials' && typeof name === 'string' && path.length === 2) {
    setAt(tree, path, issue.code === 'invalid_key' ? undefined : {})
  } else {
    // The whole setting goes, not one element of a list: half a list could mean something else.
    setAt(tree, path.slice(0, Math.max(1, containerDepth(path))), undefined)
  }
}

/** How much of a path names a setting rather than an element inside a setting's value. */
function containerDepth(path: Path): number {
  let schema: z.core.$ZodType = configSchema
  for (const [index, part] of path.entries()) {
    const { shape } = describe(schema)
    if (shape.kind === 'object') schema = shape.entries[part] ?? schema
    else if (shape.kind === 'record' && index === 1) schema = shape.value
    else return shape.kind === 'record' ? index + 1 : index
  }
  return path.length
}
