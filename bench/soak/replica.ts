import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** One sidecar process. */
export class Replica {
  readonly started = Date.now()
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown>
  /** Set once somebody asked it to end: what callers meet from then on is no fault of it. */
  ending = false
  url = ''
  adminUrl = ''
  log = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#exit = once(child, 'exit')
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        // Only the end is of interest, when it crashed.
        this.log = (this.log + text).slice(-20_000)
      })
    }
  }

  /** Resolves when it listens. Rejects with its last words when it ends before. */
  static async start(directory: string): Promise<Replica> {
    const child = spawn(process.execPath, [main, 'start'], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    const replica = new Replica(child)
    for (;;) {
      const proxy = /"proxy listening on (http:[^"]+)"/.exec(replica.log)?.[1]
      if (proxy !== undefined) {
        replica.url = proxy
        replica.adminUrl = /"admin listening on (http:[^"]+)"/.exec(replica.log)?.[1] ?? ''
        return replica
      }
      await Promise.race([once(child.stdout, 'data'), replica.#exit])
      if (replica.ended) throw new Error(`a replica did not start:\n${replica.log}`)
    }
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves to the exit code; null after SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    this.ending = true
    this.#child.kill(signal)
    await this.#exit
    return this.#child.exitCode
  }

  /** Resident memory in MiB. */
  get memory(): number {
    try {
      const text = readFileSync(`/proc/${this.#child.pid ?? 0}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024
    } catch {
      return 0
    }
  }
}
