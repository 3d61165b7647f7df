/**
 * The shortest proof that a built sidecar works: start it, send one request without credentials, see what the upstream received, stop it.
 *
 *   node scripts/smoke.ts [NODE [MAIN]]     the Node to run it with, and the program (default: this Node, dist/cli/main.js)
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export interface SmokeOptions {
  readonly node: string
  readonly main: string
  /** Run as this user and group; needs root. */
  readonly uid?: number | undefined
}

/** Rejects with what went wrong and the program's output. Takes about a second. */
export async function smoke({ node, main, uid }: SmokeOptions): Promise<{ version: string; readyAfter: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'bearer-sidecar-smoke-'))
  const seen: { target: string | undefined; headers: IncomingHttpHeaders }[] = []
  const upstream = await listen((request, response) => {
    seen.push({ target: request.url, headers: request.headers })
    response.end('{"ok":true}')
  })
  const tokenEndpoint = await listen((request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json')
    response.end('{"access_token":"fresh","token_type":"bearer","expires_in":3600,"refresh_token":"next"}')
  })
  const [port, adminPort] = [await freePort(), await freePort()]
  let child: ChildProcess | undefined
  let output = ''
  try {
    const config = {
      version: 1,
      proxy: { listen: `127.0.0.1:${port}` },
      admin: { listen: `127.0.0.1:${adminPort}` },
      credentials: {
        sky: {
          provider: 'blackbaud-sky',
          clientId: 'smoke',
          clientSecret: 'smoke',
          refreshToken: 'seed',
          tokenUrl: address(tokenEndpoint),
          headers: { 'Bb-Api-Subscription-Key': 'key' },
        },
      },
      routes: [{ path: '/', upstream: address(upstream), credential: 'sky' }],
      store: { type: 'file', directory: join(directory, 'tokens') },
    }
    writeFileSync(join(directory, 'config.yaml'), JSON.stringify(config))
    mkdirSync(join(directory, 'tokens'), { mode: 0o700 })
    if (uid !== undefined) {
      chmodSync(directory, 0o755)
      chownSync(join(directory, 'tokens'), uid, uid)
    }
    const began = performance.now()
    child = spawn(node, [main, 'start', '--config', join(directory, 'config.yaml')], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    child.stdout?.on('data', (chunk) => (output += String(chunk)))
    child.stderr?.on('data', (chunk) => (output += String(chunk)))
    await answering(`http://127.0.0.1:${adminPort}/startupz`, child)
    const readyAfter = Math.round(performance.now() - began)

    const answer = await fetch(`http://127.0.0.1:${port}/constituent/v1/constituents/280?a=%2F`)
    assert.deepEqual([answer.status, await answer.text()], [200, '{"ok":true}'])
    assert.equal(seen.length, 1)
    assert.equal(seen[0]?.target, '/constituent/v1/constituents/280?a=%2F')
    assert.equal(seen[0].headers.authorization, 'Bearer fresh')
    assert.equal(seen[0].headers['bb-api-subscription-key'], 'key')

    const status = (await (await fetch(`http://127.0.0.1:${adminPort}/status`)).json()) as { version: string }
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number | null]
    assert.equal(code, 0, 'SIGTERM must end in exit code 0')
    return { version: status.version, readyAfter }
  } catch (cause) {
    throw new Error(`The smoke test failed. Output of the program:\n${output}`, { cause })
  } finally {
    child?.kill('SIGKILL')
    upstream.close()
    tokenEndpoint.close()
    upstream.closeAllConnections()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function listen(handler: RequestListener): Promise<Server> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function address(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A port that was free a moment ago: the sidecar's two addresses must be known before it starts. */
export async function freePort(): Promise<number> {
  const server = await listen(() => undefined)
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves when the address answers 200; rejects when the child ends first or ten seconds have passed. */
export async function answering(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it ended with ${child.exitCode ?? 'a signal'}`)
    const ready = await fetch(url).then(
      async (answer) => (await answer.text(), answer.ok),
      () => false,
    )
    if (ready) return
    await new Promise((done) => setTimeout(done, 10))
  }
  throw new Error(`${url} did not answer 200 within 10 s`)
}

if (import.meta.main) {
  const [node = process.execPath, main = resolve(import.meta.dirname, '../dist/cli/main.js')] = process.argv.slice(2)
  const { version, readyAfter } = await smoke({ node, main })
  console.log(`bearer-sidecar ${version} on ${node}: one request carried, ready after ${readyAfter} ms`)
}
