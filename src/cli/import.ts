import type { CredentialConfig } from '../config/schema.ts'
import { CommandFailure, exitCode } from './command-failure.ts'
import type { Io } from './io.ts'
import { processDeps, withSession, type CommandDeps, type CommandOptions, type Input, type Session } from './session.ts'
import { summary } from './token-words.ts'

/** As on the admin port. */
const maxBytes = 64 * 1024

/** Takes a refresh token, or a token response in the provider's own field names, from standard input. */
export function importTokens(
  name: string,
  options: CommandOptions,
  io: Io,
  deps: CommandDeps = processDeps,
): Promise<number> {
  return withSession(options, io, deps, async (session) => {
    const config = session.credential(name, options.subject)
    if (deps.stdin.isTTY === true) {
      // A token typed or pasted at a prompt would stay in the terminal's scrollback, one given as argument in the history.
      throw new CommandFailure(
        `give the token on standard input, such as: bearer-sidecar import ${name} < token.json`,
        exitCode.usage,
      )
    }
    const text = await readAll(deps.stdin)
    const status = await adopt(session, config, name, options.subject, text)
    io.stdout(`${summary(status, deps.clock)}\n`)
    if (!status.unsaved) return exitCode.ok
    throw new CommandFailure(
      'The tokens are in effect but could not be saved; mend the store, see: bearer-sidecar status',
    )
  })
}

async function readAll(stdin: Input): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > maxBytes)
      throw new CommandFailure('standard input holds more than 64 KiB; that is no token', exitCode.usage)
    chunks.push(bytes)
  }
  const text = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trim()
  if (text === '')
    throw new CommandFailure(
      'nothing came on standard input: give a refresh token or a JSON token response',
      exitCode.usage,
    )
  return text
}

async function adopt(
  session: Session,
  config: CredentialConfig,
  name: string,
  subject: string | undefined,
  text: string,
) {
  const document = documentOf(text, config)
  // What the admin port does not understand (an XML answer) goes to the store, and the sidecar notices.
  return session.sidecar === undefined || document === undefined
    ? (await session.store()).credentials.adopt(name, subject, text)
    : session.sidecar.adopt(name, subject, document)
}

/** The text as the admin port wants it: a JSON object. A bare refresh token becomes one under the provider's own name for it. */
function documentOf(text: string, { tokenResponse }: CredentialConfig): Readonly<Record<string, unknown>> | undefined {
  if (/^[{[]/.test(text)) {
    try {
      return JSON.parse(text) as Readonly<Record<string, unknown>>
    } catch {
      throw new CommandFailure('standard input begins like JSON but cannot be parsed; is it complete?', exitCode.usage)
    }
  }
  const { refreshToken } = tokenResponse.fields
  return text.startsWith('<') || refreshToken === null ? undefined : { [refreshToken]: text }
}
