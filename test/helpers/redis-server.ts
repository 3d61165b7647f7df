import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const binary = '/usr/bin/redis-server'

/** Why tests against a real Redis are left out; false where they can run. */
export const noRedis: string | false = existsSync(binary)
  ? false
  : `${binary} is not installed: apt-get install redis-server`

/** A redis-server of the test's own, on a port that was free, with its data in a folder of its own. */
export class RedisServer {
  readonly port: number
  readonly #directory = mkdtempSync(join(tmpdir(), 'bearer-sidecar-redis-'))
  readonly #settings: readonly string[]
  readonly #sentinel: boolean
  #process: ChildProcess | undefined

  /** `settings` are lines of redis.conf. */
  static async start(settings: readonly string[] = [], options: { sentinel?: boolean } = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), settings, options.sentinel ?? false)
    await server.start()
    return server
  }

  private constructor(port: number, settings: readonly string[], sentinel: boolean) {
    this.port = port
    this.#settings = settings
    this.#sentinel = sentinel
  }

  async start(): Promise<void> {
    const file = join(this.#directory, 'redis.conf')
    const tls = this.#settings.some((line) => line.startsWith('tls-port'))
    const port = tls ? ['port 0'] : [`port ${this.port}`]
    const own = ['bind 127.0.0.1', ...port, `dir ${this.#directory}`, 'save ""', 'logfile ""', 'daemonize no']
    const settings = this.#settings.map((line) => line.replaceAll('PORT', String(this.port)))
    writeFileSync(
      file,
      [...(this.#sentinel ? own.filter((line) => !line.startsWith('save')) : own), ...settings, ''].join('\n'),
    )
    this.#process = spawn(binary, [file, ...(this.#sentinel ? ['--sentinel'] : [])], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#process.stdout?.resume()
    await this.#untilListening()
  }

  /** SIGKILL by default: the server gets no time to write anything. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  /** Stops it from answering, with its connections open. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    this.resume()
    await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #untilListening(): Promise<void> {
    for (;;) {
      if (this.#process?.exitCode !== null) throw new Error('redis-server ended')
      const socket = createConnection(this.port, '127.0.0.1')
      const connected = await Promise.race([
        once(socket, 'connect').then(() => true),
        once(socket, 'error').then(() => false),
      ]).catch(() => false)
      socket.destroy()
      if (connected) return
      await pause(10)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
