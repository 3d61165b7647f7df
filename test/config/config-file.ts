import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { loadConfig, type LoadedConfig, type LoadOptions } from '../../src/config/load.ts'
import { ConfigError, formatProblem, type Problem } from '../../src/config/problems.ts'
import { tempDir } from '../helpers/temp-dir.ts'

export interface Given {
  /** The config file, or several files by name. */
  readonly files: string | Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  readonly overrides?: LoadOptions['overrides']
  /** Name of the config file; null = let it be searched for. */
  readonly name?: string | null
}

export interface Loaded {
  readonly directory: string
  readonly load: () => Promise<LoadedConfig>
}

/** Writes the files to a folder of their own; `load` reads them from there. */
export function configFiles(
  t: Pick<TestContext, 'after'>,
  { files, env = {}, overrides, name = 'c.yaml' }: Given,
): Loaded {
  const directory = tempDir(t)
  const all = typeof files === 'string' ? { [name ?? 'bearer-sidecar.yaml']: files } : files
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return {
    directory,
    load: () => loadConfig({ file: name ?? undefined, env, cwd: directory, overrides }),
  }
}

export const load = (t: Pick<TestContext, 'after'>, given: Given) => configFiles(t, given).load()

export interface Refusal {
  /** FILE:LINE:COL path: problem, in the order told. */
  readonly lines: string[]
  readonly problems: readonly Problem[]
  readonly error: ConfigError
}

/** The problems of a configuration that must be refused. */
export async function refusal(t: Pick<TestContext, 'after'>, given: Given): Promise<Refusal> {
  try {
    await load(t, given)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { lines: error.problems.map(formatProblem), problems: error.problems, error }
  }
  throw new Error('the configuration was accepted')
}

/** The smallest configuration that is right, with room for more of a credential, a route or the top level. */
export function minimal({ credential = '', route = '', top = '' } = {}): string {
  const indent = (text: string, by: string) => text.replace(/^(?=.)/gm, by)
  return `version: 1
credentials:
  api:
    tokenUrl: https://auth.example.com/token
    authorizationUrl: https://auth.example.com/authorize
    clientId: id
    clientSecret: secret
${indent(credential, '    ')}
routes:
  - path: /
    upstream: https://api.example.com
    credential: api
${indent(route, '    ')}
${top}
`
}
