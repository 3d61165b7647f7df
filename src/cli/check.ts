import { loadConfig, type LoadedConfig } from '../config/load.ts'
import { ConfigError, formatProblem, type Problem } from '../config/problems.ts'
import type { Config } from '../config/schema.ts'
import type { Io } from './io.ts'
import { reachabilityFindings } from './reachability.ts'

export interface CheckOptions {
  readonly config?: string
  readonly online?: boolean
  readonly json?: boolean
}

/** Opens and closes the token store; rejects with an error whose message may be shown. */
export type StoreCheck = (config: Config) => Promise<void>

/**
 * Says everything that is wrong with the configuration. `online` also connects to upstreams and token endpoints, without a token, and to the
 * store. Exit code: 0, 78 for an invalid configuration, 1 for something that can't be reached.
 */
export async function check(options: CheckOptions, io: Io, checkStore?: StoreCheck): Promise<number> {
  let loaded: LoadedConfig
  try {
    loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    report(error.problems, error.warnings, options, io)
    return 78
  }
  const problems = options.online === true ? await onlineProblems(loaded, io, checkStore) : []
  report(problems, loaded.warnings, options, io)
  if (problems.length > 0) return 1
  if (options.json !== true) io.stdout(`${summary(loaded, options.online === true)}\n`)
  return 0
}

async function onlineProblems(loaded: LoadedConfig, io: Io, checkStore?: StoreCheck): Promise<Problem[]> {
  const findings = await reachabilityFindings(loaded.config, io.env)
  try {
    await checkStore?.(loaded.config)
  } catch (error) {
    findings.push({ path: ['store'], message: error instanceof Error ? error.message : 'cannot be opened' })
  }
  return findings.map(({ path, message }) => loaded.sources.problem({ path, message }))
}

function report(problems: readonly Problem[], warnings: readonly Problem[], { json }: CheckOptions, io: Io): void {
  if (json === true) {
    const shown = ({ path, message, file, line, column }: Problem) => ({ path, message, file, line, column })
    const result = { ok: problems.length === 0, problems: problems.map(shown), warnings: warnings.map(shown) }
    io.stdout(`${JSON.stringify(result, null, 2)}\n`)
    return
  }
  for (const problem of problems) io.stderr(`${formatProblem(problem)}\n`)
  for (const warning of warnings)
    io.stderr(`${formatProblem({ ...warning, message: `warning: ${warning.message}` })}\n`)
}

function summary({ config, file }: LoadedConfig, online: boolean): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
  const parts = `${count(Object.keys(config.credentials).length, 'credential')}, ${count(config.routes.length, 'route')}`
  return `${file}: ok (${parts})${online ? '; upstreams and token endpoints can be reached' : ''}`
}
