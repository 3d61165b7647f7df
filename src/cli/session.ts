import type { Clock } from '../clock.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config/load.ts'
import type { Config, CredentialConfig } from '../config/schema.ts'
import { didYouMean } from '../config/suggest.ts'
import type { DirectCredentials } from '../direct-credentials.ts'
import { callbackUrl } from '../callback-url.ts'
import { AdminClient } from './admin-client.ts'
import { CommandFailure, exitCode, report } from './command-failure.ts'
import type { Io } from './io.ts'

/** Standard input as a command needs it. */
export type Input = AsyncIterable<Buffer | string> & { readonly isTTY?: boolean | undefined }

/** What a command takes from the process and its surroundings; tests put in their own. */
export interface CommandDeps {
  readonly clock: Clock
  readonly stdin: Input
  /** Opens the token store of the configuration; `callbackUrl` is where a login comes back to. */
  readonly openStore: (
    config: Config,
    clock: Clock,
    callbackUrl: () => string,
    env: Io['env'],
  ) => Promise<DirectCredentials>
  readonly openBrowser: (url: string) => Promise<unknown>
  /** Resolves when the person presses Ctrl-C. Called by commands that wait for a person only. */
  readonly interrupted: () => Promise<unknown>
}

/** The process itself; everything heavy is loaded when it is needed. */
export const processDeps: CommandDeps = {
  clock: systemClock,
  stdin: process.stdin,
  openStore: async (config, clock, callbackUrl, env) =>
    (await import('../direct-credentials.ts')).openDirectCredentials(config, clock, callbackUrl, env),
  openBrowser: async (url) => (await import('open')).default(url),
  interrupted: () => new Promise((resolve) => process.once('SIGINT', resolve)),
}

export interface CommandOptions {
  readonly config?: string
  readonly subject?: string
}

/** One command at work on credentials: through the running sidecar where there is one, else straight on the store. */
export class Session {
  readonly config: Config
  readonly sidecar: AdminClient | undefined
  readonly #deps: CommandDeps
  readonly #env: Io['env']
  #direct: Promise<DirectCredentials> | undefined

  constructor(config: Config, sidecar: AdminClient | undefined, deps: CommandDeps, env: Io['env']) {
    this.config = config
    this.sidecar = sidecar
    this.#deps = deps
    this.#env = env
  }

  /** The configuration of a credential, after making sure that a subject is given exactly where there are subjects. */
  credential(name: string, subject: string | undefined): CredentialConfig {
    const { credentials } = this.config
    const found = Object.hasOwn(credentials, name) ? credentials[name] : undefined
    if (found === undefined) {
      const names = Object.keys(credentials)
      const known = names.length === 0 ? 'none is configured' : `configured: ${names.join(', ')}`
      throw new CommandFailure(`no such credential${didYouMean(name, names)} (${known})`, exitCode.usage)
    }
    if (found.subjectHeader !== null && subject === undefined) {
      throw new CommandFailure(
        `${name} has tokens per value of ${found.subjectHeader}: add --subject ID`,
        exitCode.usage,
      )
    }
    if (found.subjectHeader === null && subject !== undefined) {
      throw new CommandFailure(`${name} has no subjectHeader: leave --subject out`, exitCode.usage)
    }
    return found
  }

  /** The store itself, opened at the first call. A memory store has nothing outside its sidecar. */
  store(): Promise<DirectCredentials> {
    if (this.config.store.type === 'memory') {
      const where = this.sidecar === undefined ? 'and no sidecar answers' : 'so this command cannot reach them'
      throw new CommandFailure(`store.type is memory: the tokens are inside the running sidecar, ${where}`)
    }
    this.#direct ??= this.#deps.openStore(
      this.config,
      this.#deps.clock,
      () => callbackUrl(this.config.admin),
      this.#env,
    )
    return this.#direct
  }

  /** Gives the store back. Throws when a token set could not be saved: it is gone with this process. */
  async close(): Promise<void> {
    // A store that could not be opened was told already.
    const opened = await this.#direct?.catch(() => undefined)
    const unsaved = await opened?.close()
    if (unsaved === undefined || unsaved.length === 0) return
    throw new CommandFailure(
      `the new tokens of ${unsaved.join(', ')} could not be saved and are lost; mend the store, then run: bearer-sidecar login ${unsaved[0] ?? ''}`,
    )
  }
}

/** Loads the configuration, looks for a running sidecar, runs `work`, and turns what it throws into a message and an exit code. */
export async function withSession(
  options: CommandOptions,
  io: Io,
  deps: CommandDeps,
  work: (session: Session) => Promise<number>,
): Promise<number> {
  try {
    const { config } = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd })
    const session = new Session(config, await AdminClient.find(config.admin), deps, io.env)
    let code: number
    try {
      code = await work(session)
    } catch (error) {
      code = report(error, io)
    }
    await session.close()
    return code
  } catch (error) {
    return report(error, io)
  }
}
