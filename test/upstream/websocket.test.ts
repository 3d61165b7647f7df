import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { suite, test, type TestContext } from 'node:test'
import type { UpstreamHead, UpstreamOptions } from '../../src/upstream/upstream.ts'
import { WebSocketUpstream } from '../../src/upstream/websocket-upstream.ts'
import { answering, call, closed, rawServer, Recorder, request, start } from './support.ts'

const headers = [
  ['Host', 'upstream.test'],
  ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Extensions', 'permessage-deflate'],
].flat()
const accepted =
  'HTTP/1.1 101 Yes\r\nupgrade: WebSocket\r\nconnection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

function upstreamOf(origin: string, options: Partial<UpstreamOptions> = {}): WebSocketUpstream {
  return new WebSocketUpstream({
    origin: new URL(origin),
    tls: {},
    connectTimeout: 2_000,
    headersTimeout: 2_000,
    bodyTimeout: 2_000,
    allowH2: true,
    egressProxy: undefined,
    ...options,
  })
}

interface Opened {
  readonly head: UpstreamHead
  readonly socket: Socket
  readonly rest: Buffer
}

/** Sends a handshake and resolves with the WebSocket. */
function upgrade(t: TestContext, upstream: WebSocketUpstream): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const recorder = Object.assign(new Recorder(), {
      onWebSocket: (head: UpstreamHead, socket: Socket, rest: Buffer) => {
        t.after(() => socket.destroy())
        resolve({ head, socket, rest })
      },
    })
    void recorder.done.then(({ events }) => reject(new Error(events.join())))
    upstream.send(request({ headers, target: '/a?%zz' }), recorder)
  })
}

suite('WebSocket handshakes', { concurrency: true }, () => {
  test('one request leaves, without extensions, and the socket of a 101 is handed over with what came behind it', async (t) => {
    const server = await answering(t, `${accepted}\x81\x01a`)
    const { head, socket, rest } = await upgrade(t, upstreamOf(server.origin))
    assert.deepEqual([head.status, rest.toString('latin1')], [101, '\x81\x01a'])
    assert.equal(
      server.received[0]?.toString('latin1'),
      'GET /a?%zz HTTP/1.1\r\nHost: upstream.test\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        'Sec-WebSocket-Version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    // Paused: what comes before somebody listens is not lost.
    server.sockets[0]?.write('later')
    await new Promise((resolve) => setTimeout(resolve, 20))
    const more = new Promise((resolve) => socket.on('data', (chunk: Buffer) => resolve(chunk.toString())))
    socket.resume()
    assert.equal(await more, 'later')
  })

  test('a 101 that comes byte by byte, behind interim answers', async (t) => {
    const server = await rawServer(t, (socket) => {
      void (async () => {
        for (const byte of `HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 100 Go\r\n\r\n${accepted}`) {
          socket.write(byte)
          await new Promise(setImmediate)
        }
      })()
    })
    const { head, rest } = await upgrade(t, upstreamOf(server.origin))
    assert.deepEqual([head.status, rest.length], [101, 0])
  })

  for (const [name, answer, fault] of [
    ['a head without end', `HTTP/1.1 101 Yes\r\nA: ${'x'.repeat(70_000)}`, 'protocol'],
    ['no HTTP', 'nonsense\r\n\r\n', 'protocol'],
    ['both lengths', 'HTTP/1.1 401 No\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n', 'protocol'],
    ['no answer', '', 'timeout'],
    ['a body that stops', 'HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nab', 'timeout'],
  ] as const) {
    test(`${name}: ${fault}`, async (t) => {
      const server = await answering(t, answer)
      const { error } = await call(upstreamOf(server.origin, { headersTimeout: 150, bodyTimeout: 150 }), { headers })
      assert.equal(error?.fault, fault)
      await closed(server)
    })
  }

  test('an answer that is cut off fails, one that ends with its connection does not', async (t) => {
    for (const [answer, events] of [
      ['HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nab', 'error'],
      ['HTTP/1.1 401 No\r\n\r\nab', 'end'],
    ] as const) {
      const server = await rawServer(t, (socket) => socket.end(answer))
      const recorder = await call(upstreamOf(server.origin), { headers })
      assert.equal(recorder.events.at(-1)?.split(' ')[0], events)
      assert.equal(Buffer.concat(recorder.chunks).toString(), 'ab')
    }
  })

  test('giving up closes the connection, before the answer and while it is paused', async (t) => {
    const silent = await rawServer(t, () => undefined)
    const early = start(upstreamOf(silent.origin), { headers })
    while (silent.sockets.length === 0) await new Promise(setImmediate)
    early.exchange.abort()
    await closed(silent)
    assert.deepEqual(early.events, [])

    const server = await answering(t, 'HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nab')
    const recorder = new Recorder()
    recorder.reading = false
    const exchange = upstreamOf(server.origin, { bodyTimeout: 100 }).send(request({ headers }), recorder)
    while (recorder.chunks.length === 0) await new Promise(setImmediate)
    await new Promise((resolve) => setTimeout(resolve, 300))
    // Paused time does not count.
    assert.equal(recorder.error, undefined)
    exchange.abort()
    await closed(server)
    assert.equal(recorder.error, undefined)
  })

  test('an upgrade that nobody waits for is a fault of the upstream', async (t) => {
    const server = await answering(t, accepted)
    const { error } = await call(upstreamOf(server.origin), { headers })
    assert.equal(error?.fault, 'protocol')
    await closed(server)
  })
})
