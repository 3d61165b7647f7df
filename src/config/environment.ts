import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'dotenv'
import type { z } from 'zod'
import { reason } from './files.ts'
import type { Path } from './path.ts'
import { configSchema } from './schema.ts'
import { describe, hasFileTwin, takesList } from './shape.ts'
import { suggest } from './suggest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface DotEnv {
  /** The process environment, which wins, over the file's. */
  readonly environment: Environment
  readonly file: string | undefined
  readonly problem: string | undefined
}

/** Reads .env beside the config file; never in production, where an environment must be what the operator set. */
export function withDotEnv(environment: Environment, directory: string): DotEnv {
  const file = join(directory, '.env')
  if (environment['NODE_ENV'] === 'production') return { environment, file: undefined, problem: undefined }
  try {
    return { environment: { ...parse(readFileSync(file)), ...environment }, file, problem: undefined }
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return { environment, file: undefined, problem: absent ? undefined : `cannot read ${file}: ${reason(error)}` }
  }
}

/** A setting of proxy, admin, store, log or notify that can be given in the environment. */
export interface EnvironmentSetting {
  readonly variable: string
  readonly path: Path
  /** Several values are separated by commas. */
  readonly list: boolean
}

const sections = ['proxy', 'admin', 'store', 'log', 'notify']

/** BEARER_SIDECAR_<SECTION>_<SETTING>; nested settings have longer names; secrets also have one that ends in _FILE. */
export const environmentSettings: readonly EnvironmentSetting[] = sections.flatMap((section) => {
  const { shape } = describe(configSchema)
  const schema = shape.kind === 'object' ? shape.entries[section] : undefined
  return schema === undefined ? [] : settingsOf(schema, [section])
})

function settingsOf(schema: z.core.$ZodType, path: readonly string[]): EnvironmentSetting[] {
  const { shape } = describe(schema)
  if (shape.kind === 'object') {
    return Object.entries(shape.entries).flatMap(([key, entry]) => settingsOf(entry, [...path, key]))
  }
  const setting = { variable: variableName(path), path, list: takesList(schema) }
  if (!hasFileTwin(schema)) return [setting]
  const twin = [...path.slice(0, -1), `${path.at(-1) ?? ''}File`]
  return [setting, { variable: variableName(twin), path: twin, list: false }]
}

function variableName(path: readonly string[]): string {
  return ['BEARER_SIDECAR', ...path.map((part) => part.replace(/[A-Z]/g, '_$&').toUpperCase())].join('_')
}

export interface Override {
  readonly path: Path
  readonly value: string | readonly string[]
  /** $VARIABLE or --flag, for people. */
  readonly source: string
}

/** An empty variable counts as not set. */
export function environmentOverrides(environment: Environment): Override[] {
  return environmentSettings.flatMap(({ variable, path, list }) => {
    const text = environment[variable]
    if (text === undefined || text === '') return []
    const value = list && text.includes(',') ? text.split(',').map((part) => part.trim()) : text
    return [{ path, value: list && !path.includes('listen') ? [value].flat() : value, source: `$${variable}` }]
  })
}

/** Variables that look like a misspelt setting, each with the name that was probably meant. */
export function misspeltVariables(environment: Environment): { variable: string; meant: string }[] {
  const known = environmentSettings.map(({ variable }) => variable)
  const others = ['BEARER_SIDECAR_CONFIG', 'BEARER_SIDECAR_KEY', ...known]
  // Kubernetes sets variables such as BEARER_SIDECAR_ADMIN_PORT for a Service of that name.
  const service = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$/
  return Object.keys(environment).flatMap((variable) => {
    if (!variable.startsWith('BEARER_SIDECAR_') || others.includes(variable) || service.test(variable)) return []
    const ending = (name: string) => name.slice('BEARER_SIDECAR_'.length)
    const meant = suggest(ending(variable), known.map(ending))
    return meant === undefined ? [] : [{ variable, meant: `BEARER_SIDECAR_${meant}` }]
  })
}
