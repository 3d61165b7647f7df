import { parseDuration } from '../simulator/duration.ts'
import { faultNames, faultTable, type FaultDefinition } from '../simulator/faults.ts'
import { sampleConfig } from '../simulator/sample-config.ts'
import { providerNames, type SimulatorOptions } from '../simulator/settings.ts'
import { startSimulator, type Simulator } from '../simulator/simulator.ts'

/** As the command line gives them: text, read here so that every mistake ends in the same kind of message. */
export interface SimulateOptions {
  readonly provider?: string
  /** Default 0, any free port. */
  readonly port?: string
  /** NAME, NAME=VALUE, NAME@COUNT or NAME=VALUE@COUNT; `list` shows them all. */
  readonly fault?: readonly string[]
  readonly accessTokenTtl?: string
  readonly refreshTokenTtl?: string
  readonly graceWindow?: string
  readonly latency?: string
  /** A refresh token that is good from the start; default a new one, printed. */
  readonly refreshToken?: string
  readonly rotation?: string
  readonly tokenFormat?: string
  readonly preserveOmitsRefreshToken?: boolean
  readonly autoConsent?: boolean
  /** Prints one JSON object instead of text. */
  readonly json?: boolean
}

export interface SimulateIo {
  print: (text: string) => void
  complain: (text: string) => void
  /** Ends the command. */
  stopped: Promise<unknown>
}

/** Runs a simulated provider until a signal. Resolves to the exit code: 0, 1 for a port in use, 2 for a wrong option. */
export async function simulate(options: SimulateOptions, io: SimulateIo): Promise<number> {
  if (options.fault?.includes('list')) {
    io.print(faultHelp())
    return 0
  }
  let simulator: Simulator
  try {
    simulator = await startSimulator(simulatorOptions(options))
  } catch (error) {
    if (error instanceof RangeError) {
      io.complain(`simulate: ${error.message}\n`)
      return 2
    }
    if (!(error instanceof Error && 'code' in error && 'port' in error)) throw error
    io.complain(
      `simulate: port ${String(error.port)} cannot be used (${String(error.code)}); choose another with --port\n`,
    )
    return 1
  }
  io.print(options.json === true ? `${JSON.stringify(description(simulator))}\n` : introduction(simulator))
  await io.stopped
  await simulator.close()
  return 0
}

/** Every fault with a sentence, for --help and `--fault list`. */
function faultHelp(): string {
  const lines = faultNames.map((name) => {
    const { summary, value }: FaultDefinition = faultTable[name]
    const written = value === undefined ? name : `${name}=${value.kind === 'duration' ? 'DURATION' : 'VALUE'}`
    const byDefault = value === undefined ? '' : ` Default ${value.default}.`
    return `  ${written.padEnd(26)}${summary}${byDefault}\n`
  })
  return `Faults (NAME@COUNT or NAME=VALUE@COUNT strikes COUNT times; without a count, until the faults are cleared):\n${lines.join('')}`
}

function simulatorOptions(options: SimulateOptions): SimulatorOptions {
  const { provider, port, rotation, tokenFormat } = options
  if (provider === undefined) throw new RangeError(`--provider is missing; one of ${providerNames.join(', ')}`)
  return {
    ...durationsIn(options),
    provider: oneOf('--provider', provider, providerNames),
    ...(options.refreshToken !== undefined && { refreshToken: options.refreshToken }),
    ...(port !== undefined && { port: portNumber(port) }),
    ...(rotation !== undefined && { rotation: oneOf('--rotation', rotation, ['rotate', 'long-lived'] as const) }),
    ...(tokenFormat !== undefined && {
      tokenFormat: oneOf('--token-format', tokenFormat, ['json', 'xml', 'form'] as const),
    }),
    preserveOmitsRefreshToken: options.preserveOmitsRefreshToken === true,
    autoConsent: options.autoConsent === true,
    faults: options.fault ?? [],
  }
}

const durations = {
  accessTokenTtl: '--access-token-ttl',
  refreshTokenTtl: '--refresh-token-ttl',
  graceWindow: '--grace-window',
  latency: '--latency',
} as const
type Duration = keyof typeof durations

function durationsIn(options: SimulateOptions): Partial<Record<Duration, number>> {
  const given: Partial<Record<Duration, number>> = {}
  for (const name of Object.keys(durations) as Duration[]) {
    const text = options[name]
    try {
      if (text !== undefined) given[name] = parseDuration(text)
    } catch (error) {
      throw new RangeError(`${durations[name]}: ${(error as RangeError).message}`)
    }
  }
  return given
}

function portNumber(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN
  if (!(port <= 65_535)) throw new RangeError(`--port must be a number from 0 to 65535, not "${text}"`)
  return port
}

function oneOf<const Choice extends string>(option: string, text: string, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === text)
  if (found === undefined) throw new RangeError(`${option} must be one of ${choices.join(', ')}, not "${text}"`)
  return found
}

/** What a script needs to go on. */
function description(simulator: Simulator): object {
  const { clientId, clientSecret, subscriptionKeys, paymentsKey, provider } = simulator.settings
  return {
    provider,
    url: simulator.url,
    authorizationUrl: simulator.authorizationUrl ?? null,
    tokenUrl: simulator.tokenUrl,
    apiUrl: simulator.apiUrl,
    clientId,
    clientSecret,
    ...(subscriptionKeys.length > 0 && { subscriptionKeys, paymentsKey }),
    refreshToken: simulator.settings.refreshToken ?? simulator.seedRefreshToken(),
    config: sampleConfig(simulator),
  }
}

function introduction(simulator: Simulator): string {
  const { provider } = simulator.settings
  return `Simulated ${provider} on ${simulator.url} (nothing here is real; Ctrl-C ends it)

A config for bearer-sidecar, complete with a refresh token:

${sampleConfig(simulator).replaceAll(/^(?=.)/gm, '  ')}
While it runs:

  curl -X POST ${simulator.url}/__simulator/revoke-access-tokens
  curl -X POST ${simulator.url}/__simulator/fault -d '{"fault":"token-500@3"}'
  curl -X POST ${simulator.url}/__simulator/clear-faults
  curl -X POST ${simulator.url}/__simulator/seed
  curl ${simulator.url}/__simulator/stats
`
}
