import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createTls } from 'node:https'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import * as certs from '../helpers/certs.ts'
import { code, get, raw, startProxy, startUpstream, tokenSet, values, type ProxyOptions } from './harness.ts'

interface EchoSocket {
  on(event: 'message', listener: (data: Buffer, binary: boolean) => void): void
  send(data: Buffer | string, options?: { binary: boolean }): void
}
interface EchoServer {
  on(event: 'connection', listener: (socket: EchoSocket, request: IncomingMessage) => void): void
  close(): void
}
// The plugin's own dependency; a test server needs no second copy.
const fromPlugin = createRequire(createRequire(import.meta.url).resolve('@fastify/http-proxy'))
const { Server: WebSocketServer } = fromPlugin('ws') as { Server: new (options: { server: Server }) => EchoServer }

async function echo(
  t: TestContext,
  server: Server = createServer(),
): Promise<{ port: number; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = []
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, request) => {
    seen.push(request)
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => open.add(socket))
  server.on('secureConnection', (socket: Socket) => open.add(socket))
  t.after(() => {
    sockets.close()
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, seen }
}

function websocketProxy(t: TestContext, upstream: string, options: Partial<ProxyOptions> = {}) {
  return startProxy(t, {
    routes: [{ path: '/ws/', upstream, websocket: true }],
    credentials: { sky: { headers: { 'X-Key': 'key' } } },
    ...options,
  })
}

const handshake =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'

test('a WebSocket is carried with the token, the keys and the stripped headers of any other request', async (t) => {
  const { port: upstreamPort, seen } = await echo(t)
  const { port, nextRecord } = await websocketProxy(t, `http://127.0.0.1:${upstreamPort}/base/`)
  const record = nextRecord()
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/chat?room=1%2F2`)
  await once(socket, 'open')
  socket.send('hello')
  const [message] = (await once(socket, 'message')) as [MessageEvent]
  assert.equal(message.data, 'hello')
  const [request] = seen
  assert.ok(request)
  assert.equal(request.url, '/base/chat?room=1%2F2')
  assert.deepEqual(values(request.rawHeaders, 'authorization'), ['Bearer sky-1'])
  assert.deepEqual(values(request.rawHeaders, 'x-key'), ['key'])
  assert.deepEqual(values(request.rawHeaders, 'host'), [`127.0.0.1:${upstreamPort}`])
  socket.close()
  await once(socket, 'close')
  const { status, route } = await record
  assert.deepEqual({ status, route }, { status: 101, route: '/ws/' })
})

for (const [name, headers, target, status, expected] of [
  ['a foreign page', 'Origin: https://evil.example\r\n', '/ws/', 403, 'origin_not_allowed'],
  ['a rebound name', 'Host: evil.example\r\n', '/ws/', 403, 'host_not_allowed'],
  ['a path that leaves its prefix', '', '/ws/%2e%2e/x', 400, 'bad_request'],
  ['a backslash', '', '/ws/..\\x', 400, 'bad_request'],
] as const) {
  test(`C5: the same guard holds for WebSockets: ${name} is refused before a token is asked for`, async (t) => {
    const { port: upstreamPort, seen } = await echo(t)
    const { port, sources } = await websocketProxy(t, `http://127.0.0.1:${upstreamPort}`)
    const line = get(target, handshake + headers)
    const answer = await raw(t, port, headers.startsWith('Host') ? line.replace('Host: localhost\r\n', '') : line)
    assert.equal(answer.status, status)
    assert.equal(code(answer), expected)
    assert.equal(seen.length, 0)
    assert.deepEqual(sources['sky']?.asked, [])
  })
}

test('a caller cannot set, double or name away the headers of a WebSocket handshake', async (t) => {
  const { port: upstreamPort, seen } = await echo(t)
  const { port } = await websocketProxy(t, `http://127.0.0.1:${upstreamPort}`)
  const request = get(
    '/ws/',
    `${handshake.replace('Connection: Upgrade', 'Connection: Upgrade, Authorization, X-Key')}Authorization: evil\r\nx_key: evil\r\nX-Forwarded-For: 1\r\nX-Own: 1\r\nx-own: 2\r\n`,
  )
  const answer = await raw(t, port, request)
  assert.equal(answer.status, 101)
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const { rawHeaders } = seen[0] ?? { rawHeaders: [] }
  assert.ok(!rawHeaders.some((item) => item.includes('evil')))
  assert.deepEqual(values(rawHeaders, 'authorization'), ['Bearer sky-1'])
  assert.deepEqual(values(rawHeaders, 'x-forwarded-for'), [])
  assert.deepEqual(values(rawHeaders, 'x-own'), ['1', '2'])
})

test('the certificate of a WebSocket upstream is verified', async (t) => {
  for (const [pair, opens] of [
    [certs.localhost, true],
    [certs.wrongName, false],
    [certs.selfSigned, false],
  ] as const) {
    const { port: upstreamPort, seen } = await echo(t, createTls(pair))
    const { port } = await websocketProxy(t, `https://localhost:${upstreamPort}`, { ca: certs.ca })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/`)
    await once(socket, 'open')
    if (opens) {
      socket.send('x')
      await once(socket, 'message')
      socket.close()
    }
    await once(socket, 'close')
    assert.equal(seen.length, opens ? 1 : 0)
  }
})

test('a WebSocket waits for its token, and without one is refused', async (t) => {
  const { port: upstreamPort, seen } = await echo(t)
  const { port, sources } = await websocketProxy(t, `http://127.0.0.1:${upstreamPort}`)
  sources['sky']!.answer = () => Promise.resolve(tokenSet('fetched'))
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/`)
  await once(socket, 'open')
  socket.send('x')
  await once(socket, 'message')
  socket.close()
  assert.deepEqual(values(seen[0]?.rawHeaders ?? [], 'authorization'), ['Bearer fetched'])
  assert.deepEqual(sources['sky']?.asked, [30_000])
})

test('plain requests and other upgrades on a WebSocket route are forwarded as ever', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await websocketProxy(t, upstream.url)
  assert.equal((await raw(t, port, get('/ws/x'))).status, 200)
  assert.equal((await raw(t, port, get('/ws/y', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'))).status, 200)
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/x', '/y'],
  )
})

test('closing tells WebSockets to end, and ends those that do not', async (t) => {
  const { port: upstreamPort } = await echo(t)
  const { proxy, port } = await websocketProxy(t, `http://127.0.0.1:${upstreamPort}`)
  const polite = new WebSocket(`ws://127.0.0.1:${port}/ws/`)
  await once(polite, 'open')
  const closed = once(polite, 'close')
  const stubborn = await raw(t, port, get('/ws/', handshake))
  assert.equal(stubborn.status, 101)
  const done = proxy.close(300)
  await closed
  assert.equal(await done, false)
})

test('after a reload open WebSockets go on and new ones take the new route', async (t) => {
  const { port: first, seen } = await echo(t)
  const { port: second, seen: seenSecond } = await echo(t)
  const options = (upstream: number): ProxyOptions => ({
    routes: [{ path: '/ws/', upstream: `http://127.0.0.1:${upstream}`, websocket: true }],
  })
  const { proxy, port, setup } = await startProxy(t, options(first))
  const old = new WebSocket(`ws://127.0.0.1:${port}/ws/`)
  await once(old, 'open')
  await proxy.use(setup(options(second)))
  const fresh = new WebSocket(`ws://127.0.0.1:${port}/ws/`)
  await once(fresh, 'open')
  for (const socket of [old, fresh]) {
    socket.send('still here')
    await once(socket, 'message')
    socket.close()
    await once(socket, 'close')
  }
  assert.deepEqual([seen.length, seenSecond.length], [1, 1])
})

test('a handshake that the upstream refuses for its token renews it for the next one, and cools down when that does not help', async (t) => {
  const upstream = createServer()
  const tokens: (string | undefined)[] = []
  upstream.on('upgrade', (request, socket: Socket) => {
    tokens.push(request.headers.authorization)
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  t.after(() => void upstream.close())
  const { port, sources } = await websocketProxy(t, `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/`)
  for (let attempt = 0; attempt < 2; attempt++) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/chat`)
    await once(socket, 'close')
  }
  assert.deepEqual(tokens, ['Bearer sky-1', 'Bearer sky-2'])
  assert.deepEqual(sources['sky']?.renewals, ['always'])
  assert.deepEqual(sources['sky'].distrusted, ['sky-2'])
})
