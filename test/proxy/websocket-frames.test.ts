import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { settle } from '../helpers/clock.ts'
import { Caller, get } from './harness.ts'
import { closing, message, open, startRefusingServer, startWebSocketServer, webSocketProxy } from './websockets.ts'

test('text and binary messages of any size come through as they were sent, both ways', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url)
  const { peer } = await open(t, port)
  for (const sent of ['', 'grüße \u{1F30D}', 'x'.repeat(70_000)]) {
    peer.send(sent)
    const { data, binary } = await message(peer)
    assert.equal(binary, false)
    assert.equal(data.toString(), sent)
  }
  for (const size of [0, 1, 125, 126, 65_536, 8 * 1024 * 1024]) {
    const sent = randomBytes(size)
    peer.send(sent)
    const { data, binary } = await message(peer)
    assert.equal(binary, true)
    assert.ok(data.equals(sent), `${size} bytes came back different`)
  }
})

test('messages that came right behind the handshakes are not lost, on either side', async (t) => {
  // "a" from the upstream in the packet of its 101; "b", masked, from the caller before it was answered.
  const upstream = await startRefusingServer(t, (_request, _attempt, socket) => {
    socket.on('data', (chunk: Buffer) => received.push(chunk))
    return 'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x01a'
  })
  const received: Buffer[] = []
  const { port, sources } = await webSocketProxy(t, upstream.url)
  const { promise: allowed, resolve: allow } = Promise.withResolvers<undefined>()
  const token = sources['sky']!.current
  sources['sky']!.answer = () => allowed.then(() => token)
  const caller = new Caller(port).write(
    get(
      '/ws/',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
    ) + '\x81\x81\x00\x00\x00\x00b',
  )
  t.after(() => caller.close())
  await sleep(20)
  caller.write('\x81\x81\x00\x00\x00\x00c')
  await sleep(20)
  allow(undefined)
  const answer = await caller.until((text) => text.endsWith('\x81\x01a'))
  assert.match(answer, /^HTTP\/1\.1 101 /)
  while (Buffer.concat(received).length < 14) await settle()
  const frames = Buffer.concat(received)
  const unmasked = [0, 7].map((at) => String.fromCharCode((frames[at + 6] ?? 0) ^ (frames[at + 2] ?? 0)))
  assert.deepEqual(unmasked, ['b', 'c'])
})

test('pings are answered by the one who is asked, once', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url)
  const { peer } = await open(t, port)
  const [theirs] = upstream.peers
  assert.ok(theirs)
  for (const [asks, asked] of [
    [peer, theirs],
    [theirs, peer],
  ] as const) {
    const pings: string[] = []
    const pongs: string[] = []
    asked.on('ping', (data: Buffer) => pings.push(data.toString()))
    asks.on('pong', (data: Buffer) => pongs.push(data.toString()))
    asks.ping('one')
    await once(asks, 'pong')
    asks.ping('two')
    await once(asks, 'pong')
    assert.deepEqual(
      [pings, pongs],
      [
        ['one', 'two'],
        ['one', 'two'],
      ],
    )
    asked.removeAllListeners('ping')
    asks.removeAllListeners('pong')
  }
})

test('a ping that the upstream does not answer is not answered for it', async (t) => {
  const upstream = await startWebSocketServer(t, { autoPong: false })
  const { port } = await webSocketProxy(t, upstream.url)
  const { peer } = await open(t, port)
  let pongs = 0
  peer.on('pong', () => pongs++)
  peer.ping('anybody?')
  peer.send('x')
  await message(peer)
  assert.equal(pongs, 0)
})

for (const [name, sent, expected] of [
  ['an application code with its reason', [4321, 'enough: ünough'], { code: 4321, reason: 'enough: ünough' }],
  ['a protocol code', [1001, ''], { code: 1001, reason: '' }],
  ['no code', [], { code: 1005, reason: '' }],
  ['no close frame at all', undefined, { code: 1006, reason: '' }],
] as const) {
  for (const side of ['caller', 'upstream'] as const) {
    test(`${name} of the ${side} reaches the other side`, async (t) => {
      const upstream = await startWebSocketServer(t)
      const { port, nextRecord } = await webSocketProxy(t, upstream.url)
      const record = nextRecord()
      const { peer } = await open(t, port)
      const [theirs] = upstream.peers
      assert.ok(theirs)
      const [closes, learns] = side === 'caller' ? [peer, theirs] : [theirs, peer]
      const learnt = closing(learns)
      if (sent === undefined) closes.terminate()
      else closes.close(sent[0], sent[1])
      assert.deepEqual(await learnt, expected)
      assert.equal((await record).status, 101)
    })
  }
}

test('an idle WebSocket is not cut by the time-outs of bodies and answers', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url, {
    proxy: { timeouts: { idleBody: '50ms', responseHeaders: '50ms', requestBodyIdle: '50ms', requestHeaders: '50ms' } },
    headersTimeout: 50,
    bodyTimeout: 50,
  })
  const { peer } = await open(t, port)
  await sleep(1_500)
  peer.send('still here')
  assert.equal((await message(peer)).data.toString(), 'still here')
})

for (const side of ['caller', 'upstream'] as const) {
  test(`a ${side} that does not read stops the other side, and loses nothing`, async (t) => {
    const upstream = await startWebSocketServer(t, { echo: false })
    const { port } = await webSocketProxy(t, upstream.url)
    const { peer } = await open(t, port)
    const [theirs] = upstream.peers
    assert.ok(theirs)
    const [reader, writer] = side === 'caller' ? [peer, theirs] : [theirs, peer]
    reader.pause()
    const piece = randomBytes(256 * 1024)
    const pieces = 400
    for (let count = 0; count < pieces; count++) writer.send(piece)
    // 100 MiB are on their way; kernel buffers and ours take a few of them.
    await sleep(1_000)
    const held = process.memoryUsage().arrayBuffers
    const waiting = (writer as unknown as { bufferedAmount: number }).bufferedAmount
    assert.ok(
      waiting > 70 * 1024 * 1024,
      `the writer has only ${waiting} bytes left, the proxy took the rest (${held})`,
    )
    const hash = createHash('sha1')
    let got = 0
    const all = new Promise<void>((resolve) => {
      reader.on('message', (data: Buffer) => {
        hash.update(data)
        if (++got === pieces) resolve()
      })
    })
    reader.resume()
    await all
    const expected = createHash('sha1')
    for (let count = 0; count < pieces; count++) expected.update(piece)
    assert.equal(hash.digest('hex'), expected.digest('hex'))
  })
}

test('a message that is no WebSocket frame ends that side, and the other is told', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url)
  const caller = new Caller(port).write(
    get(
      '/ws/',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
    ),
  )
  t.after(() => caller.close())
  await caller.answer()
  const told = closing(upstream.peers[0]!)
  caller.write('\xff\x00')
  assert.equal((await told).code, 1011)
  await caller.untilClosed()
})
