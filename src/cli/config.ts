import { configJsonSchema } from '../config/json-schema.ts'
import { loadConfig } from '../config/load.ts'
import { printable, printableYaml, sourcesOf } from '../config/printed.ts'
import { ConfigError } from '../config/problems.ts'
import type { Io } from './io.ts'

export interface PrintConfigOptions {
  readonly config?: string
  readonly json?: boolean
}

/** The configuration as it holds: presets laid under, references filled, secrets masked, each value with its source. */
export async function printConfig(options: PrintConfigOptions, io: Io): Promise<number> {
  try {
    const { config, sources, file, files } = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd })
    if (options.json === true) {
      const document = { file, files, config: printable(config), sources: sourcesOf(config, sources) }
      io.stdout(`${JSON.stringify(document, null, 2)}\n`)
    } else io.stdout(printableYaml(config, sources))
    return 0
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    io.stderr(`${error.message}\n`)
    return 78
  }
}

/** The JSON Schema of the config file. */
export function printSchema(io: Io): number {
  io.stdout(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
  return 0
}
