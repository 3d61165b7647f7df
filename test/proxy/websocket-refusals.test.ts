import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createTls } from 'node:https'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import test from 'node:test'
import * as certs from '../helpers/certs.ts'
import { Caller, get } from './harness.ts'
import { message, open, refusal, startRefusingServer, startWebSocketServer, webSocketProxy } from './websockets.ts'

const unauthorized = 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\nConnection: close\r\n\r\nexpired'

type Fields = NodeJS.Dict<string | string[]>

/** Refuses handshakes that `bad` finds fault with, with this body, and accepts the others. */
function acceptsUnless(bad: (headers: Fields) => boolean, body: string) {
  return {
    verifyClient: (
      { req }: { req: { headers: Fields } },
      done: (accepts: boolean, status: number, body: string) => void,
    ) => done(!bad(req.headers), 401, body),
  }
}

test('a handshake that is refused for its token is made again with a new one, before the caller is answered', async (t) => {
  const tokens: unknown[] = []
  const upstream = await startWebSocketServer(
    t,
    acceptsUnless(({ authorization }) => tokens.push(authorization) === 1, 'expired'),
  )
  const { port, sources, replays, nextRecord } = await webSocketProxy(t, upstream.url)
  sources['sky']!.gate = Promise.resolve()
  const record = nextRecord()
  const { peer } = await open(t, port)
  peer.send('x')
  await message(peer)
  peer.close()
  assert.deepEqual(tokens, ['Bearer sky-1', 'Bearer sky-2'])
  assert.deepEqual(sources['sky']?.renewals, ['always'])
  assert.deepEqual(replays, ['success'])
  const { status, attempts, replay } = await record
  assert.deepEqual({ status, attempts, replay }, { status: 101, attempts: 2, replay: 'success' })
})

test('a handshake whose new token is refused too passes that answer, and the token cools down', async (t) => {
  const upstream = await startRefusingServer(t, () => unauthorized)
  const { port, sources, replays } = await webSocketProxy(t, upstream.url)
  const { status, body } = await refusal(t, port)
  assert.deepEqual([status, body], [401, 'expired'])
  assert.deepEqual(
    upstream.seen.map(({ headers }) => headers.authorization),
    ['Bearer sky-1', 'Bearer sky-2'],
  )
  assert.deepEqual(sources['sky']?.distrusted, ['sky-2'])
  assert.deepEqual(replays, ['rejected_again'])
})

test('a refusal that could not be replayed says why', async (t) => {
  const upstream = await startRefusingServer(t, () => unauthorized)
  const { port, sources } = await webSocketProxy(t, upstream.url)
  sources['sky']!.declines = 'cooldown'
  const { status, headers } = await refusal(t, port)
  assert.deepEqual([status, headers['bearer-sidecar-replay']], [401, 'cooldown'])
  assert.equal(upstream.seen.length, 1)
})

test('a handshake tries the next key after a rejected one, and the working key sticks', async (t) => {
  const keys: unknown[] = []
  const upstream = await startWebSocketServer(
    t,
    acceptsUnless((headers) => {
      keys.push(headers['x-key'])
      return headers['x-key'] === 'worn'
    }, 'the subscription key is worn'),
  )
  const { port, sources, keyChanges } = await webSocketProxy(t, upstream.url, {
    credentials: {
      sky: {
        headers: { 'X-Key': ['worn', 'fresh'] },
        refresh: { on: [{ status: 401, unlessBody: ['subscription key'] }] },
        keyRejected: [{ status: 401, onlyBody: ['subscription key'] }],
      },
    },
  })
  await open(t, port)
  await open(t, port)
  assert.deepEqual(keys, ['worn', 'fresh', 'fresh'])
  assert.deepEqual(keyChanges, ['sky 2'])
  assert.deepEqual(sources['sky']?.renewals, [])
})

test('a refusal passes as it came: status, fields and body, sized, chunked or until the end', async (t) => {
  for (const [bytes, status, body] of [
    ['HTTP/1.1 404 Nope\r\nX-Why: gone\r\nContent-Length: 4\r\n\r\ngone', 404, 'gone'],
    ['HTTP/1.1 403 No\r\nX-Why: gone\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n', 403, 'no'],
    ['HTTP/1.1 200 OK\r\nX-Why: gone\r\n\r\nno WebSocket here', 200, 'no WebSocket here'],
    ['HTTP/1.1 302 Go\r\nX-Why: gone\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n', 302, ''],
    ['HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 503 Busy\r\nX-Why: gone\r\nContent-Length: 1\r\n\r\n!', 503, '!'],
  ] as const) {
    const upstream = await startRefusingServer(t, () => bytes)
    const { port, nextRecord } = await webSocketProxy(t, upstream.url)
    const record = nextRecord()
    const refused = await refusal(t, port)
    assert.deepEqual([refused.status, refused.body, refused.headers['x-why']], [status, body, 'gone'])
    assert.equal(refused.headers['bearer-sidecar-error'], undefined)
    const { status: recorded, ending } = await record
    assert.deepEqual([recorded, ending], [status, 'answered'])
  }
})

test('a large refusal reaches a caller that reads slowly', async (t) => {
  const size = 3 * 1024 * 1024
  const upstream = await startRefusingServer(
    t,
    () => `HTTP/1.1 403 No\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`,
  )
  const { port } = await webSocketProxy(t, upstream.url)
  const { body } = await refusal(t, port)
  assert.equal(body.length, size)
})

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const asked = get(
  '/ws/',
  `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a\r\n`,
)
const accept = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='

for (const [name, fields] of [
  ['without a proof that it read the handshake', 'Upgrade: websocket'],
  ['with a wrong proof', 'Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp='],
  ['for another protocol', `Upgrade: h2c\r\n${accept}`],
  [
    'with an extension that nobody offered',
    `Upgrade: websocket\r\n${accept}\r\nSec-WebSocket-Extensions: permessage-deflate`,
  ],
  ['with a subprotocol that nobody offered', `Upgrade: websocket\r\n${accept}\r\nSec-WebSocket-Protocol: b`],
] as const) {
  test(`a 101 ${name} is no WebSocket`, async (t) => {
    const upstream = await startRefusingServer(t, () => `HTTP/1.1 101 Hm\r\nConnection: Upgrade\r\n${fields}\r\n\r\n`)
    const { port, nextRecord } = await webSocketProxy(t, upstream.url)
    const record = nextRecord()
    const caller = new Caller(port).write(asked)
    t.after(() => caller.close())
    const { status, head } = await caller.answer()
    assert.equal(status, 502)
    assert.match(head, /bearer-sidecar-error: upstream_protocol_error/i)
    await caller.untilClosed()
    assert.equal((await record).status, 502)
  })
}

test('an upstream that nobody can reach, that says nothing, or that breaks off is answered for as with any request', async (t) => {
  const closed = createTcpServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port: nobody } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const silent = await startRefusingServer(t, () => undefined)
  const broken = await startRefusingServer(t, () => '')
  const garbage = await startRefusingServer(t, () => 'SSH-2.0-OpenSSH_9.9\r\n')
  for (const [upstream, status, expected] of [
    [`http://127.0.0.1:${nobody}`, 502, 'upstream_unreachable'],
    [silent.url, 504, 'upstream_timeout'],
    [broken.url, 502, 'upstream_unreachable'],
    [garbage.url, 502, 'upstream_protocol_error'],
  ] as const) {
    const { port, nextRecord } = await webSocketProxy(t, upstream, { headersTimeout: 100 })
    const record = nextRecord()
    const refused = await refusal(t, port)
    assert.deepEqual([refused.status, refused.headers['bearer-sidecar-error']], [status, expected])
    assert.doesNotMatch(refused.body, /127\.0\.0\.1/)
    assert.equal((await record).errorCode, expected)
  }
})

test('the certificate of a WebSocket upstream is verified', async (t) => {
  for (const [pair, opens] of [
    [certs.localhost, true],
    [certs.wrongName, false],
    [certs.selfSigned, false],
  ] as const) {
    const upstream = await startWebSocketServer(t, { server: createTls(pair) })
    const { port } = await webSocketProxy(t, `https://localhost:${upstream.port}`, { ca: certs.ca })
    if (opens) {
      const { peer } = await open(t, port)
      peer.send('x')
      await message(peer)
    } else {
      assert.equal((await refusal(t, port)).headers['bearer-sidecar-error'], 'upstream_tls_error')
    }
    assert.equal(upstream.seen.length, opens ? 1 : 0)
  }
})

test('a WebSocket upstream is shown the client certificate of the route', async (t) => {
  const server = createTls({ ...certs.localhost, ca: certs.ca, requestCert: true, rejectUnauthorized: true })
  const upstream = await startWebSocketServer(t, { server })
  const url = `https://localhost:${upstream.port}`
  const { port } = await webSocketProxy(t, url, { ca: certs.ca, clientCertificate: certs.client })
  await open(t, port)
  const { port: without } = await webSocketProxy(t, url, { ca: certs.ca })
  assert.equal((await refusal(t, without)).status, 502)
  assert.equal(upstream.seen.length, 1)
})

test('WebSockets go through an egress proxy in a tunnel, plain ones too', async (t) => {
  const heads: string[] = []
  const tunnels = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (chunk) => {
      const head = chunk.toString('latin1')
      heads.push(head)
      const origin = connect(Number(/^CONNECT \S+:(\d+) /.exec(head)?.[1] ?? 0), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connected\r\n\r\n')
        socket.pipe(origin).pipe(socket)
      })
      origin.on('error', () => socket.destroy())
    })
  }).listen(0, '127.0.0.1')
  await once(tunnels, 'listening')
  t.after(() => tunnels.close())
  const { port: proxyPort } = tunnels.address() as AddressInfo
  const egressProxy = new URL(`http://user:pass@127.0.0.1:${proxyPort}`)
  const plain = await startWebSocketServer(t)
  const secure = await startWebSocketServer(t, { server: createTls(certs.localhost) })
  for (const [upstream, authority] of [
    [plain.url, `127.0.0.1:${plain.port}`],
    [`https://localhost:${secure.port}`, `localhost:${secure.port}`],
  ] as const) {
    const { port } = await webSocketProxy(t, upstream, { ca: certs.ca, egressProxy })
    const { peer } = await open(t, port)
    peer.send('x')
    await message(peer)
    peer.terminate()
    assert.equal(
      heads.pop(),
      `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n`,
    )
  }
  assert.equal(plain.seen[0]?.headers.authorization, 'Bearer sky-1')
})

test('a caller that leaves before the answer takes the handshake with it', async (t) => {
  let gone: (() => void) | undefined
  const left = new Promise<void>((resolve) => (gone = resolve))
  const upstream = await startRefusingServer(t, (_request, _attempt, socket) => {
    socket.on('end', () => gone?.()).on('close', () => gone?.())
    socket.resume()
    return undefined
  })
  const { port, nextRecord } = await webSocketProxy(t, upstream.url)
  const record = nextRecord()
  const caller = new Caller(port).write(asked)
  while (upstream.seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  caller.socket.end()
  await left
  const { status, ending } = await record
  assert.deepEqual([status, ending], [499, 'caller-left'])
  caller.close()
})
