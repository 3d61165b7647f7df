import assert from 'node:assert/strict'
import test from 'node:test'
import { TestClock } from '../helpers/clock.ts'
import { dial, get, startProxy, startUpstream } from './harness.ts'
import { open, startWebSocketServer, webSocketProxy } from './websockets.ts'

const minute = 60_000

test('a connection that its caller keeps and does not use is closed after 72 seconds, which every answer announces', async (t) => {
  const clock = new TestClock()
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'))
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], clock })
  const caller = dial(t, port).write(get('/'))
  assert.match((await caller.answer()).head, /\r\nKeep-Alive: timeout=72\r\n/)
  await clock.advance(71_000)
  assert.equal(caller.ended, false)
  await clock.advance(10_000)
  await caller.untilClosed()
})

test('a connection that is used again lives on', async (t) => {
  const clock = new TestClock()
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'))
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], clock })
  const caller = dial(t, port)
  for (let count = 0; count < 4; count++) {
    caller.write(get('/'))
    assert.equal((await caller.answer()).status, 200)
    await clock.advance(minute)
  }
})

test('a request in progress is not idle, however long its answer takes', async (t) => {
  const clock = new TestClock()
  let answer: (() => void) | undefined
  const upstream = await startUpstream(t, (_request, response) => {
    answer = () => response.end('at last')
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], clock })
  const caller = dial(t, port).write(get('/'))
  while (answer === undefined) await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(10 * minute)
  answer()
  assert.equal((await caller.answer()).body, 'at last')
})

test('an answer that closes its connection announces no time for it', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end('ok'))
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const { head } = await dial(t, port).write(get('/', 'Connection: close\r\n')).answer()
  assert.doesNotMatch(head, /keep-alive/i)
})

test('a WebSocket may be silent for as long as it likes', async (t) => {
  const clock = new TestClock()
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url, { clock })
  const { peer } = await open(t, port)
  await clock.advance(10 * minute)
  const echoed = new Promise((resolve) => peer.once('message', resolve))
  peer.send('still there?')
  assert.equal(String(await echoed), 'still there?')
})
