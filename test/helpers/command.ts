import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Given on standard input, which then ends. */
  readonly input?: string
}

/** A command of ours as a process of its own, with what it printed. Ended with the test at the latest. */
export class Command {
  readonly child: ChildProcess
  /** The exit code, once all output has arrived; null after a signal. */
  readonly exit: Promise<number | null>
  stdout = ''
  stderr = ''

  constructor(
    t: Pick<TestContext, 'after'>,
    directory: string,
    args: readonly string[],
    { env = {}, input }: CommandOptions = {},
  ) {
    this.child = spawn(process.execPath, [main, ...args], {
      cwd: directory,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stdin?.on('error', () => undefined).end(input ?? '')
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.exit = once(this.child, 'close').then(([code]) => code as number | null)
    // SIGKILL ends a stopped process too.
    t.after(() => this.child.kill('SIGKILL'))
  }

  get output(): string {
    return this.stdout + this.stderr
  }

  /** The first match of the pattern on standard output, once it is there. */
  async seen(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout)
      if (match !== null) return match
      const ended = await Promise.race([
        once(this.child.stdout ?? this.child, 'data').then(() => false),
        this.exit.then(() => true),
      ])
      if (ended && !pattern.test(this.stdout)) throw new Error(`ended without ${String(pattern)}:\n${this.output}`)
    }
  }

  /** The address of the proxy or admin port, once `start` listens there. */
  async url(port: 'proxy' | 'admin' = 'proxy'): Promise<string> {
    return (await this.seen(new RegExp(`"${port} listening on (http:[^"]+)"`)))[1] ?? ''
  }
}
