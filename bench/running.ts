import type { ChildProcess } from 'node:child_process'
import { Agent, request } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findCommand } from '../scripts/debian-packages.ts'
import { freePort } from '../scripts/smoke.ts'
import { ca, certificate, certificateKey } from './certificates.ts'
import { start, stop, type Program } from './children.ts'
import { nginxUpstream, type Addresses } from './targets.ts'

/** A program that has answered its first request. */
export interface Running {
  readonly child: ChildProcess
  readonly url: string
  /** Milliseconds from the start of the process to the end of its first 200. */
  readonly firstAnswer: number
}

export async function run(program: (port: number) => Program, path = '/'): Promise<Running> {
  const port = await freePort()
  const began = performance.now()
  const child = start(program(port))
  const url = `http://127.0.0.1:${port}`
  await untilAnswering(url + path, child)
  return { child, url, firstAnswer: performance.now() - began }
}

/** Runs something against a program and ends it whatever happens. */
export async function withRunning<T>(
  program: (port: number) => Program,
  use: (running: Running) => Promise<T>,
): Promise<T> {
  const running = await run(program)
  try {
    return await use(running)
  } finally {
    await stop(running.child)
  }
}

async function untilAnswering(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const status = await get(url, {
      'x-subject': 's1',
      authorization: 'Bearer direct',
      'bb-api-subscription-key': 'key',
    }).catch(() => 0)
    if (status === 200) return
    const command = child.spawnargs.join(' ')
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}`)
    if (performance.now() > deadline) throw new Error(`${command} did not answer 200 within 15 s (last: ${status})`)
    await new Promise((done) => setTimeout(done, 2))
  }
}

/** Status of one exchange on a connection of its own; a body is sent with POST and an answer read to its end. */
export async function get(url: string, headers: Record<string, string> = {}, body?: Buffer): Promise<number> {
  const secure = url.startsWith('https:')
  // Keep-alive, though used once: a caller's "Connection: close" makes some proxies close the upstream connection too.
  const agent = secure ? new TlsAgent({ keepAlive: true, ca: readFileSync(ca) }) : new Agent({ keepAlive: true })
  const framing =
    body === undefined ? {} : { 'content-type': 'application/octet-stream', 'content-length': String(body.length) }
  try {
    return await new Promise((resolve, reject) => {
      const method = body === undefined ? 'GET' : 'POST'
      const outgoing = (secure ? requestTls : request)(url, { agent, method, headers: { ...headers, ...framing } })
      outgoing.on('response', (answer) => {
        answer.resume()
        answer.once('end', () => resolve(answer.statusCode ?? 0))
        answer.once('error', reject)
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  } finally {
    agent.destroy()
  }
}

export interface OriginOptions {
  readonly directory: string
  /** Seconds that an access token lives. */
  readonly tokenLife?: number
  /** Milliseconds that the token endpoint takes. */
  readonly tokenDelay?: number
  /** The server of large bodies instead of nginx. */
  readonly large?: boolean
}

/** The upstream and the token endpoint; resolves when both listen. */
export async function runOrigin({ directory, tokenLife = 3600, tokenDelay = 0, large = false }: OriginOptions) {
  const [plain, fast, tokenEndpoint] = [await freePort(), await freePort(), await freePort()]
  const parameters = [plain, tokenEndpoint, certificate, certificateKey, tokenLife, tokenDelay].map(String)
  const origin = start({
    command: process.execPath,
    parameters: [join(import.meta.dirname, 'origin.ts'), ...parameters],
    core: 'rest',
  })
  await untilAnswering(`https://127.0.0.1:${plain}/`, origin)
  const withNginx = !large && findCommand('nginx') !== undefined
  const nginx = withNginx ? start(nginxUpstream(fast, directory)) : undefined
  if (nginx) await untilAnswering(`https://127.0.0.1:${fast}/`, nginx)
  const addresses: Addresses = { upstream: withNginx ? fast : plain, tokenEndpoint }
  const close = async () => {
    await stop(origin)
    if (nginx) await stop(nginx)
  }
  return { addresses, close }
}
