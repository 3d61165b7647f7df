import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { skyStage, startSidecar, type Sidecar } from '../helpers/start-app.ts'

const example = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))

/** A line that says why an example is not run, or false. */
function without(command: string, probe: string): string | false {
  const { error, status } = spawnSync(command, [probe], { stdio: 'ignore' })
  return error === undefined && status === 0 ? false : `${command} is not installed`
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function run(command: string, args: readonly string[], sidecarUrl: string): Promise<Ended> {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], SKY_URL: sidecarUrl }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    buffer(child.stdout),
    buffer(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ])
  return { code, stdout: String(stdout), stderr: String(stderr) }
}

async function stage(t: TestContext, over: object = {}): Promise<{ simulator: Simulator; sidecar: Sidecar }> {
  const { simulator, directory, config } = await skyStage(t, {}, over)
  return { simulator, sidecar: await startSidecar(t, config, { directory }) }
}

/** Every request must have arrived with the bearer and the key, whatever the program is written in. */
function checkCredentials({ requests, settings }: Simulator): void {
  for (const { rawHeaders } of requests) {
    const headers = new Map(
      rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), rawHeaders[at + 1]]] : [])),
    )
    assert.match(headers.get('authorization') ?? '', /^Bearer ey/)
    assert.equal(headers.get('bb-api-subscription-key'), settings.subscriptionKeys[0])
  }
}

const login = /^No token for credential sky yet\. Run: bearer-sidecar login sky/m

test('node: lists all constituents page by page', async (t) => {
  const { simulator, sidecar } = await stage(t)
  const { code, stdout, stderr } = await run(process.execPath, [example('node/constituents.js')], sidecar.url)
  assert.equal(code, 0, stderr)
  const lines = stdout.trim().split('\n')
  assert.equal(lines.length, 30)
  assert.equal(lines[0], '280\tZoë Simulated')
  assert.deepEqual(
    simulator.requests.map(({ target }) => target),
    ['limit=10', 'limit=10&offset=10', 'limit=10&offset=20'].map((query) => `/constituent/v1/constituents?${query}`),
  )
  checkCredentials(simulator)
})

test('node: says which command to run while nobody has logged in', async (t) => {
  const { sidecar } = await stage(t, { refreshToken: '' })
  const { code, stderr } = await run(process.execPath, [example('node/constituents.js')], sidecar.url)
  assert.equal(code, 1)
  assert.match(stderr, login)
})

test(
  'python: uploads a file to the pre-signed address, which gets no token',
  { skip: without('python3', '--version') },
  async (t) => {
    const { simulator, directory, config } = await skyStage(t)
    // Stands for Azure's storage: the simulator names a host that nobody can reach from here.
    let stored: IncomingMessage | undefined
    let content = ''
    const storage = createServer((request, response) => {
      stored = request
      void buffer(request).then((bytes) => {
        content = String(bytes)
        response.writeHead(201).end()
      })
    }).listen(0, '127.0.0.1')
    t.after(() => storage.close())
    await once(storage, 'listening')
    const upload = `http://127.0.0.1:${(storage.address() as AddressInfo).port}/files/1?sig=abc%3D`
    const api = createServer((request, response) => {
      const answer = { method: 'PUT', url: upload, headers: [{ name: 'x-ms-blob-type', value: 'BlockBlob' }] }
      assert.match(request.headers.authorization ?? '', /^Bearer ey/)
      assert.equal(request.headers['bb-api-subscription-key'], simulator.settings.subscriptionKeys[0])
      void buffer(request).then((bytes) => {
        assert.equal((JSON.parse(String(bytes)) as { file_name: string }).file_name, 'receipt.txt')
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ file_id: 'file-1', file_upload_request: answer }))
      })
    }).listen(0, '127.0.0.1')
    t.after(() => api.close())
    await once(api, 'listening')
    const routes = [
      { path: '/', upstream: `http://127.0.0.1:${(api.address() as AddressInfo).port}`, credential: 'sky' },
    ]
    const sidecar = await startSidecar(t, { ...config, routes }, { directory })

    const file = join(directory, 'receipt.txt')
    writeFileSync(file, 'thank you')
    const { code, stdout, stderr } = await run('python3', [example('python/upload_document.py'), file], sidecar.url)
    assert.equal(code, 0, stderr)
    assert.equal(stdout, 'file-1\n')
    assert.equal(content, 'thank you')
    assert.equal(stored?.url, '/files/1?sig=abc%3D')
    assert.equal(stored.headers['x-ms-blob-type'], 'BlockBlob')
    assert.equal(stored.headers.authorization, undefined)
    assert.equal(stored.headers['bb-api-subscription-key'], undefined)
  },
)

const noShell = without('curl', '--version')

test('shell: posts each gift of the file once, through an expiry of the token', { skip: noShell }, async (t) => {
  const { simulator, sidecar } = await stage(t)
  const file = join(sidecar.directory, 'gifts.csv')
  writeFileSync(file, '280,2026-07-01,25.00\n281,2026-07-01,10.50\n')
  await fetch(`${sidecar.url}/echo`)
  simulator.revokeAccessTokens()
  const { code, stdout, stderr } = await run('sh', [example('shell/nightly-gifts.sh'), file], sidecar.url)
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^280: \{"id":"[0-9a-f]{8}"\}\n281: \{"id":"[0-9a-f]{8}"\}\n$/)
  const gifts = simulator.requests.filter(({ target }) => target === '/gift/v1/gifts')
  // The first one twice: the token that the API had revoked, and the new one.
  assert.deepEqual(
    gifts.map(({ body }) => JSON.parse(String(body)) as { constituent_id: string; amount: { value: number } }),
    [
      { constituent_id: '280', date: '2026-07-01', amount: { value: 25 } },
      { constituent_id: '280', date: '2026-07-01', amount: { value: 25 } },
      { constituent_id: '281', date: '2026-07-01', amount: { value: 10.5 } },
    ],
  )
  checkCredentials(simulator)
})

test('shell: tells a night without a login from a gift that was refused', { skip: noShell }, async (t) => {
  const nobody = await stage(t, { refreshToken: '' })
  const file = join(nobody.sidecar.directory, 'gifts.csv')
  writeFileSync(file, '280,2026-07-01,25.00\n')
  const night = await run('sh', [example('shell/nightly-gifts.sh'), file], nobody.sidecar.url)
  assert.equal(night.code, 75)
  assert.match(night.stderr, login)
  assert.equal(nobody.simulator.requests.length, 0)

  const { simulator, sidecar } = await stage(t)
  simulator.inject('api-403@1')
  const refused = await run('sh', [example('shell/nightly-gifts.sh'), file], sidecar.url)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /280: refused with 403/)
})

test('java: posts a gift with the JDK client and its h2c offer', { skip: without('java', '-version') }, async (t) => {
  const { simulator, sidecar } = await stage(t)
  const args = [example('java/PostGift.java'), '280', '2026-07-01', '25.00']
  const { code, stdout, stderr } = await run('java', args, sidecar.url)
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^\{"id":"[0-9a-f]{8}"\}\n$/)
  assert.equal(
    String(simulator.requests[0]?.body),
    '{"constituent_id":"280","date":"2026-07-01","amount":{"value":25.00}}',
  )
  checkCredentials(simulator)
})
