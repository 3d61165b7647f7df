import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { skyStage, type SkyStage } from '../helpers/start-app.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** A command as a process, with what it printed. */
class Command {
  readonly child: ChildProcess
  readonly exit: Promise<number | null>
  output = ''

  constructor(t: TestContext, directory: string, args: string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [main, ...args], {
      cwd: directory,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.exit = once(this.child, 'close').then(([code]) => code as number | null)
    t.after(() => this.child.kill('SIGKILL'))
  }

  /** The first match of the pattern in the output, once it is there. */
  async seen(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output)
      if (match !== null) return match
      const ended = await Promise.race([
        once(this.child.stdout ?? this.child, 'data').then(() => false),
        this.exit.then(() => true),
      ])
      if (ended && pattern.exec(this.output) === null)
        throw new Error(`ended without ${String(pattern)}:\n${this.output}`)
    }
  }

  /** The address of the proxy port, once it listens. */
  async url(): Promise<string> {
    return (await this.seen(/"proxy listening on (http:[^"]+)"/))[1] ?? ''
  }
}

function writeConfig(stage: SkyStage, over: object = {}): void {
  writeFileSync(join(stage.directory, 'bearer-sidecar.yaml'), JSON.stringify({ ...stage.config, ...over }, null, 2))
}

test('start says where it listens, serves, and ends with 0 on SIGTERM', async (t) => {
  const stage = await skyStage(t)
  writeConfig(stage)
  const sidecar = new Command(t, stage.directory, ['start'])
  assert.equal((await fetch(`${await sidecar.url()}/echo`)).status, 200)
  assert.match(sidecar.output, /"msg":"store\.encryptionKey: is not set: tokens are stored as plain JSON/)
  sidecar.child.kill('SIGTERM')
  assert.equal(await sidecar.exit, 0, sidecar.output)
})

test('start finishes the request in flight before it ends, and a second signal ends it at once with 1', async (t) => {
  const stage = await skyStage(t)
  const slow = createServer((_request, response) => void setTimeout(() => response.end('late'), 700)).listen(
    0,
    '127.0.0.1',
  )
  t.after(() => slow.close())
  await once(slow, 'listening')
  const upstream = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`
  writeConfig(stage, { routes: [{ path: '/', upstream, credential: 'sky' }] })

  const patient = new Command(t, stage.directory, ['start'])
  const answer = fetch(`${await patient.url()}/slow`).then((response) => response.text())
  await once(slow, 'request')
  patient.child.kill('SIGTERM')
  assert.equal(await answer, 'late')
  assert.equal(await patient.exit, 0, patient.output)

  const hasty = new Command(t, stage.directory, ['start'])
  const broken = fetch(`${await hasty.url()}/slow`).catch(() => 'broken off')
  await once(slow, 'request')
  hasty.child.kill('SIGTERM')
  await hasty.seen(/finishing requests in flight/)
  hasty.child.kill('SIGINT')
  assert.equal(await hasty.exit, 1, hasty.output)
  assert.equal(await broken, 'broken off')
})

test('start ends with 78 and every problem with its place when the config is wrong', async (t) => {
  const stage = await skyStage(t)
  writeConfig(stage, {
    routes: [{ path: '/', upstream: 'http://example.com', credential: 'sky', rateLimt: null }],
    credentals: {},
  })
  const sidecar = new Command(t, stage.directory, ['start'])
  assert.equal(await sidecar.exit, 78)
  const lines = sidecar.output.trim().split('\n')
  assert.ok(lines.length >= 3, sidecar.output)
  for (const line of lines) assert.match(line, /^bearer-sidecar\.yaml:\d+:\d+ \S+: /)
  assert.match(sidecar.output, /did you mean credentials/)
  assert.match(sidecar.output, /did you mean rateLimit/)
})

test('start ends with 1 and names the port when it is in use', async (t) => {
  const stage = await skyStage(t)
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  writeConfig(stage)
  const address = `127.0.0.1:${(other.address() as AddressInfo).port}`
  const sidecar = new Command(t, stage.directory, ['start', '--listen', address])
  assert.equal(await sidecar.exit, 1)
  assert.match(sidecar.output, new RegExp(`cannot listen on ${address}`))
})

test('start ends with 1 at a damaged store document and leaves it as it is', async (t) => {
  const stage = await skyStage(t)
  writeConfig(stage)
  writeFileSync(join(stage.directory, 'tokens', 'sky.json'), '{"version":1,"refresh', { mode: 0o600 })
  const sidecar = new Command(t, stage.directory, ['start'])
  assert.equal(await sidecar.exit, 1)
  assert.match(sidecar.output, /sky\.json/)
})

test('a changed file is taken over while requests go on, an invalid one is refused with its reasons', async (t) => {
  const stage = await skyStage(t)
  writeConfig(stage)
  const sidecar = new Command(t, stage.directory, ['start'])
  const url = await sidecar.url()
  const route = { path: '/', upstream: stage.simulator.url, credential: 'sky' }

  writeConfig(stage, { routes: [{ ...route, heders: {} }] })
  await sidecar.seen(/the new configuration is not valid/)
  assert.equal((await fetch(`${url}/echo`)).status, 200)

  // As editors and Kubernetes do: another file takes the name.
  writeFileSync(
    join(stage.directory, 'next.yaml'),
    JSON.stringify({ ...stage.config, routes: [{ ...route, headers: { 'X-New': 'yes' } }] }),
  )
  renameSync(join(stage.directory, 'next.yaml'), join(stage.directory, 'bearer-sidecar.yaml'))
  await sidecar.seen(/configuration reloaded/)
  await fetch(`${url}/echo`)
  assert.ok(stage.simulator.requests.at(-1)?.rawHeaders.includes('X-New'))

  sidecar.child.kill('SIGHUP')
  await sidecar.seen(/configuration reloaded[^]*configuration reloaded/)
  sidecar.child.kill('SIGTERM')
  assert.equal(await sidecar.exit, 0)
})

test('a wrong command line ends with 2 and a suggestion, --version and --help with 0', async (t) => {
  const stage = await skyStage(t)
  const [wrong, help, version] = [['strat'], ['--help'], ['--version']].map(
    (args) => new Command(t, stage.directory, args),
  )
  assert.equal(await wrong?.exit, 2)
  assert.match(wrong?.output ?? '', /start/)
  assert.equal(await help?.exit, 0)
  assert.match(help?.output ?? '', /Exit codes/)
  assert.equal(await version?.exit, 0)
})

test('what a request does not need is not loaded at the start, nor by the first request', async (t) => {
  const stage = await skyStage(t)
  writeConfig(stage)
  const list = join(stage.directory, 'loaded.json')
  const hook = fileURLToPath(new URL('../helpers/loaded-modules.mjs', import.meta.url))
  const sidecar = new Command(t, stage.directory, ['start'], { NODE_OPTIONS: `--import=${hook}`, LOADED_MODULES: list })
  assert.equal((await fetch(`${await sidecar.url()}/echo`)).status, 200)
  sidecar.child.kill('SIGTERM')
  assert.equal(await sidecar.exit, 0)
  const loaded = JSON.parse(readFileSync(list, 'utf8')) as string[]
  assert.ok(loaded.some((name) => name.includes('/node_modules/fastify/')) && loaded.length > 300, 'the list is one')
  const dear =
    /node_modules\/(@fastify\/(ajv|fast-json|http-proxy|reply)|ajv|undici|oauth4webapi|@opentelemetry|@redis|pino-pretty|fast-xml-parser)|internal\/deps\/undici|src\/admin\/(status-page|style)/
  assert.deepEqual(
    loaded.filter((name) => dear.test(name)),
    [],
  )
})

test('a fault of our own at the start is told and ends with 1', async (t) => {
  const stage = await skyStage(t)
  writeConfig(stage, { log: { format: 'auto' } })
  const fault = "process.stdout.isTTY = true; process.stdout.hasColors = () => { throw new Error('out of order') }"
  const sidecar = new Command(t, stage.directory, ['start'], {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}`,
  })
  assert.equal(await sidecar.exit, 1)
  assert.match(sidecar.output, /internal error, please report this\nError: out of order\n/)
})
