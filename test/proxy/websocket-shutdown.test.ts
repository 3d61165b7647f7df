import assert from 'node:assert/strict'
import test from 'node:test'
import { TestClock, settle } from '../helpers/clock.ts'
import { Caller, get } from './harness.ts'
import { closing, open, startRefusingServer, startWebSocketServer, webSocketProxy } from './websockets.ts'

const asked = get(
  '/ws/',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
)

test('closing tells both ends of a WebSocket with 1001, and is done when they have answered', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { proxy, port } = await webSocketProxy(t, upstream.url, { clock: new TestClock() })
  const { peer } = await open(t, port)
  const told = Promise.all([closing(peer), closing(upstream.peers[0]!)])
  // The clock stands still: nobody is cut.
  assert.equal(await proxy.close(25_000), true)
  assert.deepEqual(
    (await told).map(({ code }) => code),
    [1001, 1001],
  )
})

test('a WebSocket whose ends answer no close frame is cut after two seconds, and that is no failure', async (t) => {
  const clock = new TestClock()
  const upstream = await startRefusingServer(
    t,
    () =>
      'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
  )
  const { proxy, port } = await webSocketProxy(t, upstream.url, { clock })
  const caller = new Caller(port).write(asked)
  assert.equal((await caller.answer()).status, 101)
  const closed = proxy.close(25_000)
  await clock.advance(1_900)
  assert.equal(caller.ended, false)
  // The close frame with 1001.
  await caller.until((text) => text.includes('\x88\x02\x03\xe9'))
  await clock.advance(200)
  await caller.untilClosed()
  assert.equal(await closed, true)
})

test('a grace of less than that cuts WebSockets in time, which is no failure either', async (t) => {
  const clock = new TestClock()
  const upstream = await startWebSocketServer(t)
  const { proxy, port } = await webSocketProxy(t, upstream.url, { clock })
  const caller = new Caller(port).write(asked)
  await caller.answer()
  const closed = proxy.close(500)
  await clock.advance(500)
  assert.equal(await closed, true)
})

test('a handshake that is still without an answer counts as a request: it is waited for, then cut', async (t) => {
  const clock = new TestClock()
  const upstream = await startRefusingServer(t, () => undefined)
  const { proxy, port } = await webSocketProxy(t, upstream.url, { clock })
  const caller = new Caller(port).write(asked)
  while (upstream.seen.length === 0) await settle()
  const closed = proxy.close(10_000)
  await clock.advance(5_000)
  assert.equal(caller.ended, false)
  await clock.advance(5_000)
  assert.equal(await closed, false)
  await caller.untilClosed()
})

test('a WebSocket that opens while the proxy closes is told at once', async (t) => {
  const { promise: go, resolve: answer } = Promise.withResolvers<undefined>()
  const upstream = await startRefusingServer(t, (_request, _attempt, socket) => {
    void go.then(() =>
      socket.write(
        'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
      ),
    )
    return undefined
  })
  const clock = new TestClock()
  const { proxy, port } = await webSocketProxy(t, upstream.url, { clock })
  const caller = new Caller(port).write(asked)
  while (upstream.seen.length === 0) await settle()
  const closed = proxy.close(10_000)
  answer(undefined)
  await caller.until((text) => text.includes('\x88\x02\x03\xe9'))
  caller.close()
  assert.equal(await closed, true)
})
