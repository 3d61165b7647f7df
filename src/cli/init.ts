import { randomBytes } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { didYouMean } from '../config/suggest.ts'
import { providers, type Provider } from '../providers/provider.ts'
import { CommandFailure, exitCode, report } from './command-failure.ts'
import { configText, envText, type InitAnswers } from './init-files.ts'
import { initCredentials, type InitCredential, type InitField } from './init-plan.ts'
import type { Io } from './io.ts'

export interface InitOptions {
  readonly provider?: string
  readonly dir?: string
  /** Ask nothing. */
  readonly yes?: boolean
}

/** Asks a person; every question resolves to undefined when the person wants to stop. */
export interface Prompter {
  choose(question: string, options: readonly { value: string; label: string }[]): Promise<string | undefined>
  ask(field: InitField): Promise<string | undefined>
}

export interface InitDeps {
  /** Standard input and output are both terminals. */
  readonly interactive: boolean
  readonly prompter: () => Promise<Prompter>
  /** 32 random bytes in base64. */
  readonly key: () => string
}

const processDeps: InitDeps = {
  interactive: process.stdin.isTTY && process.stdout.isTTY,
  prompter: async () => (await import('./prompter.ts')).terminalPrompter,
  key: () => randomBytes(32).toString('base64'),
}

/** Writes a first configuration. Nothing is ever overwritten, and without a terminal nothing is ever asked. */
export async function init(options: InitOptions, io: Io, deps: InitDeps = processDeps): Promise<number> {
  try {
    const directory = resolve(io.cwd, options.dir ?? '.')
    const files = { config: join(directory, 'bearer-sidecar.yaml'), env: join(directory, '.env') }
    for (const file of Object.values(files)) refuseExisting(file)
    const prompter = deps.interactive && options.yes !== true ? await deps.prompter() : undefined
    const provider = await chosenProvider(options.provider, prompter)
    if (provider === undefined) return exitCode.interrupted
    const credentials = initCredentials(provider, providers)
    const answers = await answersFrom(credentials, prompter)
    if (answers === undefined) return exitCode.interrupted
    await write(directory, [
      // The file with the secrets is readable by its owner from its first byte.
      { path: files.env, text: envText(credentials, answers, deps.key()), mode: 0o600 },
      { path: files.config, text: configText(credentials), mode: 0o644 },
    ])
    io.stdout(nextSteps(credentials, answers, files, io))
    return exitCode.ok
  } catch (error) {
    return report(error, io)
  }
}

function refuseExisting(file: string): void {
  try {
    lstatSync(file)
  } catch {
    return
  }
  throw new CommandFailure(`${file} exists already; choose another folder with --dir, or edit it`)
}

async function write(directory: string, files: readonly { path: string; text: string; mode: number }[]): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    // 'wx' refuses what came to exist meanwhile.
    for (const { path, text, mode } of files) await writeFile(path, text, { mode, flag: 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new CommandFailure(`cannot write into ${directory} (${code}); choose another folder with --dir`)
  }
}

async function chosenProvider(name: string | undefined, prompter: Prompter | undefined): Promise<Provider | undefined> {
  if (name === undefined) {
    if (prompter === undefined)
      throw new CommandFailure(`give --provider: ${[...providers.keys()].join(', ')}`, exitCode.usage)
    const options = [...providers.values()].map(({ name: value, title: label }) => ({ value, label }))
    const value = await prompter.choose('Which provider issues the tokens?', options)
    return value === undefined ? undefined : providers.get(value)
  }
  const found = providers.get(name)
  if (found !== undefined) return found
  throw new CommandFailure(
    `there is no such preset${didYouMean(name, providers.keys())} (see: bearer-sidecar providers)`,
    exitCode.usage,
  )
}

async function answersFrom(
  credentials: readonly InitCredential[],
  prompter: Prompter | undefined,
): Promise<InitAnswers | undefined> {
  const answers = new Map<string, string>()
  for (const field of credentials.flatMap(({ fields }) => fields)) {
    const answer = prompter === undefined ? field.byDefault : await prompter.ask(field)
    if (answer === undefined) return undefined
    if (answer !== '') answers.set(field.variable, answer.trim())
  }
  return answers
}

function nextSteps(
  credentials: readonly InitCredential[],
  answers: InitAnswers,
  files: { config: string; env: string },
  io: Io,
): string {
  const shown = (file: string) => relative(io.cwd, file) || file
  const missing = credentials.flatMap(({ fields }) => fields).filter(({ variable }) => !answers.has(variable))
  const { name, provider } = credentials.at(-1) ?? { name: '', provider: undefined }
  const { grant = 'authorization_code' } = provider?.credential ?? {}
  const flag = shown(files.config) === 'bearer-sidecar.yaml' ? '' : ` --config ${shown(files.config)}`
  const browser = grant === 'authorization_code'
  const steps = [
    missing.length > 0 && `Fill in ${missing.map(({ variable }) => variable).join(', ')} in ${shown(files.env)}`,
    browser && 'Register the redirect URI http://localhost:9090/callback with the provider',
    `bearer-sidecar check${flag}`,
    `bearer-sidecar start${flag}`,
    browser &&
      `Open http://localhost:9090 and press Connect, or in another terminal: bearer-sidecar login ${name}${flag}`,
    grant === 'refresh_token' && `In another terminal: bearer-sidecar import ${name}${flag} < token.json`,
    'curl http://127.0.0.1:8080/ followed by a path of the API',
  ].filter((step) => step !== false)
  return `Wrote ${shown(files.config)} and ${shown(files.env)} (readable by you alone; keep it out of version control).

Next:
${steps.map((step, index) => `  ${index + 1}. ${step}`).join('\n')}
`
}
