import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import * as certs from '../helpers/certs.ts'
import { Command } from '../helpers/command.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { answering, ok, rawServer } from '../upstream/support.ts'

/** An upstream and a token endpoint in one, in clear or for wrong.example. */
async function provider(t: TestContext, secure: boolean): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = []
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.authorization?.split(' ')[0] ?? ''}`)
    response.setHeader('content-type', 'application/json').end('{"access_token":"fresh","expires_in":3600}')
  }
  const server = secure ? createSecureServer(certs.wrongName, handle) : createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { port: (server.address() as AddressInfo).port, requests }
}

/** Joins every tunnel to this port, whatever was asked for. */
function tunnels(t: TestContext, port: number) {
  return rawServer(t, (socket) => {
    socket.once('data', () => {
      const origin = net.connect(port, '127.0.0.1')
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(origin).pipe(socket)
      origin.on('error', () => socket.destroy())
      socket.on('close', () => origin.destroy())
    })
  })
}

function written(t: TestContext, upstream: string, tokenUrl: string): string {
  const directory = tempDir(t)
  const credential = { grant: 'refresh_token', refreshToken: 'seed', clientId: 'id', clientSecret: 'hunter2', tokenUrl }
  const config = {
    version: 1,
    proxy: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    credentials: { api: { ...credential, tls: { ca: certs.ca } } },
    routes: [{ path: '/', upstream, credential: 'api', tls: { ca: certs.ca } }],
    store: { directory: '.' },
    log: { format: 'json' },
  }
  writeFileSync(join(directory, 'bearer-sidecar.yaml'), JSON.stringify(config))
  return directory
}

test('requests and token requests to this machine pass no egress proxy, in clear least of all', async (t) => {
  const { port, requests } = await provider(t, false)
  const spy = await answering(t, ok)
  const proxy = `http://127.0.0.1:${spy.port}`
  for (const [host, env] of [
    ['127.0.0.1', { HTTP_PROXY: proxy }],
    ['localhost', { http_proxy: proxy, no_proxy: 'other.test' }],
    ['localhost', { ALL_PROXY: proxy }],
  ] as const) {
    const directory = written(t, `http://${host}:${port}`, `http://${host}:${port}/token`)
    const sidecar = new Command(t, directory, ['start'], { env })
    assert.equal((await fetch(`${await sidecar.url()}/a`)).status, 200)
    sidecar.child.kill('SIGTERM')
    await sidecar.exit
    assert.deepEqual(requests.splice(0), ['POST /token Basic', 'GET /a Bearer'])
  }
  assert.equal(spy.sockets.length, 0)
})

test('requests and token requests to others pass it, in tunnels', async (t) => {
  const { port, requests } = await provider(t, true)
  const proxy = await tunnels(t, port)
  const directory = () => written(t, 'https://wrong.example', 'https://wrong.example:8443/token')
  const env = { HTTPS_PROXY: `127.0.0.1:${proxy.port}` }
  const sidecar = new Command(t, directory(), ['start'], { env })
  assert.equal((await fetch(`${await sidecar.url()}/a`)).status, 200)
  // A command without a sidecar asks itself.
  const command = new Command(t, directory(), ['token', 'api'], { env })
  assert.equal(await command.exit, 0, command.stderr)
  assert.equal(command.stdout, 'fresh\n')
  assert.deepEqual(requests, ['POST /token Basic', 'GET /a Bearer', 'POST /token Basic'])
  const asked = proxy.received.map((bytes) => /^CONNECT \S+/.exec(bytes.toString('latin1'))?.[0])
  const [token, upstream] = ['CONNECT wrong.example:8443', 'CONNECT wrong.example:443']
  assert.deepEqual(asked, [token, upstream, token])
})

test('a proxy variable that cannot be used is told at the start, without its password, with 78', async (t) => {
  const directory = written(t, 'https://wrong.example', 'http://127.0.0.1:9/token')
  const env = { HTTPS_PROXY: 'http://us:hunter2@' }
  const sidecar = new Command(t, directory, ['start'], { env })
  assert.equal(await sidecar.exit, 78)
  assert.match(sidecar.stderr, /^\$HTTPS_PROXY: is not the address of a proxy: /)
  assert.doesNotMatch(sidecar.output, /hunter2/)
})
