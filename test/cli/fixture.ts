import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Io } from '../../src/cli/io.ts'
import type { CommandDeps } from '../../src/cli/session.ts'
import { TestClock } from '../helpers/clock.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import type { FakeCredentials } from '../admin/fixture.ts'

/** One run of a command: where it runs, and what it said. */
export interface Terminal {
  readonly io: Io
  readonly out: () => string
  readonly err: () => string
  /** Resolves once standard error holds this text. */
  readonly said: (text: string) => Promise<void>
}

export function terminal(cwd: string, changes: Partial<Pick<Io, 'env' | 'terminal'>> = {}): Terminal {
  const written = { out: '', err: '' }
  const waiting: { text: string; resolve: () => void }[] = []
  return {
    io: {
      stdout: (text) => void (written.out += text),
      stderr: (text) => {
        written.err += text
        for (const one of waiting) if (written.err.includes(one.text)) one.resolve()
      },
      env: {},
      cwd,
      terminal: false,
      ...changes,
    },
    out: () => written.out,
    err: () => written.err,
    said: (text) =>
      new Promise((resolve) => {
        if (written.err.includes(text)) resolve()
        else waiting.push({ text, resolve })
      }),
  }
}

/** A folder with a configuration of the credential `sky`, whose admin port is at `admin`. */
export function configFolder(t: Pick<TestContext, 'after'>, admin: string, credential = '', rest = ''): string {
  const directory = tempDir(t)
  writeFileSync(
    join(directory, 'bearer-sidecar.yaml'),
    `version: 1
admin: { listen: "${admin}" }
credentials:
  sky:
    clientId: id
    clientSecret: secret
    authorizationUrl: http://127.0.0.1:1/authorize
    tokenUrl: http://127.0.0.1:1/token
${credential}
routes:
  - { path: /, name: all, upstream: "http://127.0.0.1:1", credential: sky }
${rest}
`,
  )
  return directory
}

/** Surroundings without a sidecar, a browser or a person; `opened` counts how often the store was opened. */
export function commandDeps(
  store: FakeCredentials,
  changes: Partial<CommandDeps> = {},
): CommandDeps & { opened: number; unsaved: string[] } {
  const deps = {
    opened: 0,
    unsaved: [] as string[],
    clock: new TestClock(),
    stdin: input(),
    openStore: () => {
      deps.opened++
      // The commands use nothing beyond the seam and beginDeviceLogin.
      const credentials = store as never
      return Promise.resolve({
        credentials,
        description: 'file ./tokens, plain',
        close: () => Promise.resolve(deps.unsaved),
      })
    },
    openBrowser: () => Promise.resolve(),
    interrupted: () => new Promise<never>(() => undefined),
    ...changes,
  }
  return deps
}

/** Standard input with this text, which then ends. */
export async function* input(...chunks: string[]): AsyncGenerator<string> {
  for (const chunk of chunks) yield await Promise.resolve(chunk)
}

/** Standard input on which nothing ever comes, as at a terminal where nobody types. */
export function silentTerminal(): CommandDeps['stdin'] {
  return { isTTY: true, [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) }
}
