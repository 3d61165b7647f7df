import { collectFrugally } from './collector.ts'
import { Command, CommanderError, Option } from 'commander'
import type { CommandEntry } from './completion.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

const exitCodes = `
Exit codes: 0 ok, 1 failure, 2 usage, 4 a login is needed, 78 the configuration is missing or invalid, 130 interrupted at a prompt.`

/** Reads the command line and runs one command. Resolves to the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let code = 0
  const program = buildProgram(io, (result) => (code = result))
  try {
    await program.parseAsync(argv)
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Help and version end as errors of exitCode 0; every other one is a wrong use.
    return error.exitCode === 0 ? 0 : 2
  }
}

/** The command table: what exists, in the order in which a newcomer needs it. Everything a command does is loaded when it runs. */
function buildProgram(io: Io, done: (code: number) => void): Command {
  const program = new Command('bearer-sidecar')
    .description('Gives unauthenticated requests a fresh OAuth bearer token and API key on their way to the API.')
    .version(version)
    .option(
      '--config <file>',
      'config file; else $BEARER_SIDECAR_CONFIG, ./bearer-sidecar.yaml, /etc/bearer-sidecar/config.yaml',
    )
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
    .showHelpAfterError('(run with --help for what is understood)')
    .addHelpText('after', exitCodes)

  const command = (name: string, summary: string) =>
    program.command(name).description(summary).copyInheritedSettings(program).option('--config <file>', 'config file')
  /** Options of a command with those given before its name. */
  const globals = <T extends object>(options: T): T => ({ ...program.opts(), ...options })

  command('start', 'run the sidecar')
    .option('--listen <address>', 'proxy address: host:port, port 0 = any free one, or unix:/path')
    .option('--admin-listen <address>', 'admin address')
    .addHelpText('after', '\nExample: bearer-sidecar start --config bearer-sidecar.yaml --listen 127.0.0.1:8080')
    .action(async (options: object) => {
      collectFrugally()
      const { start } = await import('./start.ts')
      const { takeSignals } = await import('./signals.ts')
      done(await start(globals(options), io, takeSignals()))
    })

  command('demo', 'play with it: a simulated provider, a sidecar, five scenes')
    .option('--once', 'play the scenes, check them, and end')
    .option('--json', 'print the result as JSON')
    .option('--provider <name>', 'provider to simulate', 'blackbaud-sky')
    .option('--access-token-ttl <duration>', 'life of the simulated access tokens, such as 20s')
    .action(async (options: object) => {
      const { demo } = await import('./demo.ts')
      const { takeSignals } = await import('./signals.ts')
      done(await demo(globals(options), io, takeSignals().first))
    })

  command('simulate', 'run a provider simulator alone, for your own tests')
    .option('--provider <name>', 'provider to simulate')
    .option('--port <number>', 'port; default any free one')
    .addOption(new Option('--fault <fault...>', 'fault to begin with, such as token-500@1; "list" shows all'))
    .option('--access-token-ttl <duration>', 'life of access tokens')
    .option('--refresh-token-ttl <duration>', 'life of refresh tokens')
    .option('--grace-window <duration>', 'how long a used refresh token may be presented again')
    .option('--latency <duration>', 'added to every answer')
    .option('--rotation <kind>', 'rotate or long-lived')
    .option('--token-format <format>', 'json, xml or form')
    .option('--preserve-omits-refresh-token', 'a refresh that does not rotate leaves refresh_token out')
    .option('--refresh-token <token>', 'a refresh token that is valid from the start; default: a new one is printed')
    .option('--auto-consent', 'log in without showing the consent page')
    .option('--json', 'print where it listens as JSON')
    .addHelpText('after', '\nAll faults with a sentence each: bearer-sidecar simulate --fault list')
    .action(async (options: object) => {
      const { simulate } = await import('./simulate.ts')
      const { takeSignals } = await import('./signals.ts')
      done(await simulate(options, { print: io.stdout, complain: io.stderr, stopped: takeSignals().first }))
    })

  command('init', 'write a first configuration')
    .option('--provider <name>', 'preset to begin with')
    .option('--dir <directory>', 'where to write', '.')
    .option('--yes', 'ask nothing')
    .action(async (options: object) => {
      const { init } = await import('./init.ts')
      done(await init(globals(options), io))
    })

  credentialCommand('login', 'log in with the provider in a browser')
    .option('--no-browser', 'print the URL and read the redirected URL from standard input')
    .action(async (name: string, options: object) => {
      const { login } = await import('./login.ts')
      done(await login(name, globals(options), io))
    })
  credentialCommand('import', 'take a refresh token or a JSON token response from standard input').action(
    async (name: string, options: object) => {
      const { importTokens } = await import('./import.ts')
      done(await importTokens(name, globals(options), io))
    },
  )
  command('status', 'show every credential')
    .option('--json', 'print JSON')
    .action(async (options: object) => {
      const { status } = await import('./status.ts')
      done(await status(globals(options), io))
    })
  command('check', 'check the configuration')
    .option('--online', 'also connect to upstreams, token endpoints and the store')
    .option('--json', 'print JSON')
    .action(async (options: object) => {
      const { check } = await import('./check.ts')
      const { checkStore } = await import('../direct-credentials.ts')
      done(await check(globals(options), io, (config) => checkStore(config, io.env)))
    })
  credentialCommand('token', 'print an access token').action(async (name: string, options: object) => {
    const { token } = await import('./token.ts')
    done(await token(name, globals(options), io))
  })
  credentialCommand('refresh', 'refresh the tokens now').action(async (name: string, options: object) => {
    const { refresh } = await import('./refresh.ts')
    done(await refresh(name, globals(options), io))
  })
  credentialCommand('export', 'print the stored grant as JSON, for import into another store').action(
    async (name: string, options: object) => {
      const { exportTokens } = await import('./export.ts')
      done(await exportTokens(name, globals(options), io))
    },
  )
  command('providers', 'list the presets, or show one')
    .argument('[name]', 'preset')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, options: object) => {
      const { providersCommand } = await import('./providers.ts')
      done(providersCommand(name, options, io))
    })

  const config = command('config', 'show the configuration or its schema')
  config
    .command('print')
    .description('the resolved configuration, secrets masked, with the source of each value')
    .option('--json', 'print JSON')
    .action(async (options: object) => {
      const { printConfig } = await import('./config.ts')
      done(await printConfig(globals({ ...config.opts(), ...options }), io))
    })
  config
    .command('schema')
    .description('the JSON Schema of the config file')
    .action(async () => {
      const { printSchema } = await import('./config.ts')
      done(printSchema(io))
    })
  command('completion', 'print a shell completion script')
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const { completion } = await import('./completion.ts')
      done(completion(shell, commandTable(program), io))
    })
  return program

  function credentialCommand(name: string, summary: string): Command {
    return command(name, summary)
      .argument('<credential>', 'name of the credential in the config')
      .option('--subject <id>', 'the subject, for a credential with a subjectHeader')
  }
}

/** Names and options of all commands, for shell completion. */
function commandTable(program: Command): CommandEntry[] {
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.description(),
    subcommands: command.commands.map((sub) => sub.name()),
    options: command.options.map(({ long }) => long).filter((long) => long !== undefined),
  }))
}
