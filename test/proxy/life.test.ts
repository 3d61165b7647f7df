import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import test from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { code, dial, get, host, raw, startProxy, startUpstream, startWireUpstream, tokenSet } from './harness.ts'

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('G1: a head that does not come to an end is answered 408 within the time-out', async (t) => {
  const { port } = await startProxy(t, {
    routes: [{ upstream: 'http://127.0.0.1:1' }],
    proxy: { timeouts: { requestHeaders: '300ms' } },
  })
  const caller = dial(t, port).write('GET / HTTP/1.1\r\nHost: loc')
  const received = await caller.untilClosed()
  assert.match(received, /^HTTP\/1\.1 408 /)
  assert.match(received, /request_timeout/)
})

test('G1: an upload that stalls is answered 408 and its upstream connection dropped', async (t) => {
  const upstream = await startWireUpstream(t, () => undefined)
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { timeouts: { requestBodyIdle: '200ms' } },
  })
  const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nab`)
  const answer = await caller.answer()
  assert.equal(answer.status, 408)
  assert.equal(code(answer), 'request_timeout')
  assert.match(answer.head, /Connection: close/i)
  const [socket] = upstream.sockets
  assert.ok(socket)
  if (!socket.destroyed && !socket.readableEnded) await Promise.race([once(socket, 'end'), once(socket, 'close')])
})

test('G1: a caller that reads nothing is cut off after idleBody', async (t) => {
  const piece = Buffer.alloc(256 * 1024)
  const upstream = await startUpstream(t, (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(piece));
    }
    response.on('drain', more)
    more()
  })
  const { port, nextRecord } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { timeouts: { idleBody: '300ms' } },
  })
  const record = nextRecord()
  const caller = dial(t, port)
  caller.write(get('/'))
  await once(caller.socket, 'connect')
  caller.socket.pause()
  assert.equal((await record).ending, 'broken-off')
})

test('G2: a body above the limit is streamed and not kept', async (t) => {
  const upstream = await startUpstream(t)
  const { url } = await startProxy(t, { routes: [{ upstream: upstream.url, replayBody: '1KiB' }] })
  const body = Buffer.alloc(5_000_000, 'x')
  const before = process.memoryUsage().arrayBuffers
  const response = await fetch(url, { method: 'POST', body })
  assert.equal(response.status, 200)
  assert.equal(upstream.seen[0]?.body.length, body.length)
  assert.ok(process.memoryUsage().arrayBuffers - before < 40_000_000)
})

test('G3: a caller that leaves before the answer aborts the upstream at once', async (t) => {
  let arrived: () => void = () => undefined
  const upstream = await startWireUpstream(t, () => arrived())
  const { port, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const record = nextRecord()
  const sent = new Promise<void>((resolve) => (arrived = resolve))
  const caller = dial(t, port).write(get('/'))
  await sent
  const closed = once(upstream.sockets[0]!, 'close')
  upstream.sockets[0]!.on('end', () => upstream.sockets[0]!.destroy())
  const start = Date.now()
  caller.close()
  await closed
  assert.ok(Date.now() - start < 1000)
  const { status, ending } = await record
  assert.deepEqual({ status, ending }, { status: 499, ending: 'caller-left' })
})

test('G3: a caller that leaves while its token is fetched causes no request at all', async (t) => {
  const upstream = await startUpstream(t)
  const { port, sources, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  let give: (token: ReturnType<typeof tokenSet>) => void = () => undefined
  const asked = new Promise<void>((resolve) => {
    sources['sky']!.answer = () => {
      resolve()
      return new Promise((done) => (give = done))
    }
  })
  const record = nextRecord()
  const caller = dial(t, port).write(get('/'))
  await asked
  caller.close()
  await record
  give(tokenSet('late'))
  sources['sky']!.answer = undefined
  assert.equal((await raw(t, port, get('/next'))).status, 200)
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/next'],
  )
})

for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
  test(`G4: a caller that leaves in the middle of an upload (${framing}) is seen as an abort, not as a whole request`, async (t) => {
    const upstream = await startUpstream(t)
    const aborted = new Promise<void>((resolve) =>
      upstream.server.on('request', (request) => request.on('aborted', resolve)),
    )
    const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const caller = dial(t, port).write(
      `POST / HTTP/1.1\r\n${host}${framing}\r\n\r\n${framing.startsWith('T') ? '5\r\nhello\r\n' : 'hello'}`,
    )
    await once(upstream.server, 'request')
    caller.close()
    await aborted
    assert.equal(upstream.seen.length, 0)
  })
}

for (const [name, head, reset] of [
  ['a sized body', 'Content-Length: 100', false],
  ['a chunked body', 'Transfer-Encoding: chunked', false],
  ['a sized body and a reset', 'Content-Length: 100', true],
] as const) {
  test(`G5: an upstream that breaks off in ${name} leaves the caller with a visibly short answer`, async (t) => {
    const upstream = await startWireUpstream(t, (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${head.startsWith('T') ? '5\r\nhello\r\n' : 'hello'}`)
      void setTimeout(20).then(() => (reset ? socket.resetAndDestroy() : socket.destroy()))
    })
    const { url, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const record = nextRecord()
    const response = await fetch(url)
    await assert.rejects(response.text())
    const { ending, error } = await record
    assert.equal(ending, 'broken-off')
    assert.ok(error)
  })
}

test('G5: an HTTP/1.0 caller, whose answer ends with its connection, is reset instead', async (t) => {
  const upstream = await startWireUpstream(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    void setTimeout(20).then(() => socket.destroy())
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port).write(`GET / HTTP/1.0\r\n${host}\r\n`)
  await caller.until(() => caller.reset || caller.ended)
  assert.equal(caller.reset, true)
})

test('G6: a reused connection that dies unseen costs a GET nothing, and a POST is not sent twice', async (t) => {
  let count = 0
  const upstream = await startWireUpstream(t, (socket, text) => {
    if (!text.endsWith('\r\n\r\n')) return
    count++
    if (count === 1) socket.write(ok)
    else if (count === 2) socket.destroy()
    else socket.write(ok)
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  assert.equal((await raw(t, port, get('/1'))).status, 200)
  assert.equal((await raw(t, port, get('/2'))).status, 200)
  assert.equal(count, 3)
  count = 1
  const post = await raw(t, port, `POST /3 HTTP/1.1\r\n${host}Content-Length: 4\r\n\r\n\r\n\r\n`)
  assert.equal(post.status, 502)
  assert.equal(count, 2)
})

test('G7: an answer head that is far too large is 502', async (t) => {
  const upstream = await startWireUpstream(t, (socket) =>
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(300_000)}\r\nContent-Length: 0\r\n\r\n`),
  )
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.status, 502)
  assert.equal(code(answer), 'upstream_protocol_error')
})

test('an upstream that never answers is 504 within its bound, and the next request is served', async (t) => {
  let silent = true
  const upstream = await startWireUpstream(t, (socket) => {
    if (!silent) socket.write(ok)
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], headersTimeout: 200 })
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.status, 504)
  assert.equal(code(answer), 'upstream_timeout')
  silent = false
  assert.equal((await raw(t, port, get('/'))).status, 200)
})

test('the first event of a stream arrives before the second is written', async (t) => {
  let proceed: () => void = () => undefined
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.flushHeaders()
    proceed = () => response.write('data: 1\n\n')
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port).write(get('/'))
  await caller.until((text) => text.includes('\r\n\r\n'))
  proceed()
  await caller.until((text) => text.includes('data: 1\n\n'))
})

test('an early answer to an upload is delivered, and the connection is fit for the next request', async (t) => {
  const upstream = await startWireUpstream(t, (socket, text) => {
    if (text.includes('\r\n\r\n') && !socket.writableEnded) {
      socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge')
    }
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const size = 3_000_000
  const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Content-Length: ${size}\r\n\r\n`)
  caller.write(Buffer.alloc(100_000, 'x'))
  const early = await caller.answer()
  assert.equal(early.status, 413)
  assert.equal(early.body, 'large')
  caller.write(Buffer.alloc(size - 100_000, 'x'))
  caller.write(get('/'))
  assert.equal((await caller.answer()).status, 413)
})

test('a problem before the body was read does not break the connection', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ path: '/x/', upstream: upstream.url }] })
  const caller = dial(t, port).write(`POST /no HTTP/1.1\r\n${host}Content-Length: 1000000\r\n\r\n`)
  caller.write(Buffer.alloc(1_000_000, 'x'))
  assert.equal((await caller.answer()).status, 404)
  caller.write(get('/x/'))
  assert.equal((await caller.answer()).status, 200)
})

test('bytes in are bytes out, for odd content types, encodings and methods', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    response.writeHead(200, { 'Content-Type': request.headers['content-type'] ?? 'none' })
    response.end(upstream.seen.at(-1)?.body)
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('latin1')
  for (const type of [
    'text/plain; charset=iso-8859-1',
    'not a type',
    ';;;',
    'application/json',
    'multipart/form-data; boundary=x',
  ]) {
    for (const method of ['POST', 'GET', 'DELETE', 'PUT']) {
      await raw(
        t,
        port,
        `${method} / HTTP/1.1\r\n${host}Content-Type: ${type}\r\nContent-Length: 256\r\n\r\n${everyByte}`,
      )
      const seen = upstream.seen.at(-1)
      assert.equal(seen?.method, method)
      assert.equal(seen.headers['content-type'], type)
      assert.equal(seen.body.toString('latin1'), everyByte)
    }
  }
  const empty = await raw(t, port, `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`)
  assert.equal(empty.status, 200)
  assert.equal(upstream.seen.at(-1)?.headers['content-length'], '0')
})

test('a small body leaves in one piece with its head, also when the caller writes it separately', async (t) => {
  const pieces: string[] = []
  const upstream = await startWireUpstream(t, (socket, text) => {
    pieces.push(text)
    if (text.endsWith('hello')) socket.write(ok)
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  await raw(t, port, `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`)
  assert.equal(pieces.length, 1)
})

test('G4: a caller that resets its upload while the upstream takes nothing of it is noticed within a tick', async (t) => {
  const upstream = await startWireUpstream(t, (socket) => void socket.pause())
  const { port, nextRecord } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { timeouts: { requestBodyIdle: '1s' } },
  })
  const record = nextRecord()
  const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Content-Length: 100000000\r\n\r\n`)
  const piece = Buffer.alloc(1_000_000, 'x')
  for (let written = 0; written < 30_000_000; written += piece.length)
    if (!caller.socket.write(piece)) await setTimeout(1)
  await setTimeout(50)
  const start = Date.now()
  caller.socket.resetAndDestroy()
  assert.equal((await record).ending, 'caller-left')
  assert.ok(Date.now() - start < 1500)
})

test('an upstream that takes nothing of an upload is given up after responseHeaders', async (t) => {
  const upstream = await startWireUpstream(t, (socket) => void socket.pause())
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { timeouts: { responseHeaders: '400ms' } },
  })
  const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Content-Length: 100000000\r\n\r\n`)
  const piece = Buffer.alloc(1_000_000, 'x')
  for (let written = 0; written < 100_000_000; written += piece.length) caller.socket.write(piece)
  const answer = await caller.answer()
  assert.equal(answer.status, 504)
  assert.equal(code(answer), 'upstream_timeout')
})

test('an upstream is read no faster than the caller takes it, and a whole download arrives', async (t) => {
  const size = 100_000_000
  const piece = Buffer.alloc(1_000_000, 'x')
  let written = 0
  const upstream = await startUpstream(t, (_, response) => {
    response.setHeader('Content-Length', size)
    const more = () => {
      while (written < size && !response.destroyed) {
        written += piece.length
        if (written === size) response.end(piece)
        else if (!response.write(piece)) return
      }
    }
    response.on('drain', more)
    more()
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', agent: false }, resolve).on('error', reject).end()
  })
  // Nothing is read yet: what was written until it stands still is what the buffers on the way hold.
  for (let before = -1; before !== written;) {
    before = written
    await setTimeout(100)
  }
  assert.ok(written < 40_000_000, `${written} bytes taken for a caller that reads nothing`)
  let received = 0
  for await (const chunk of response) received += (chunk as Buffer).length
  assert.equal(received, size)
})

test('a caller is read no faster than the upstream takes its upload', async (t) => {
  const upstream = await startWireUpstream(t, (socket) => void socket.pause())
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Content-Length: 100000000\r\n\r\n`)
  const piece = Buffer.alloc(1_000_000, 'x')
  let written = 0
  const more = () => {
    while (written < 100_000_000) {
      written += piece.length
      if (!caller.socket.write(piece)) return
    }
  }
  caller.socket.on('drain', more)
  more()
  for (let before = -1; before !== written;) {
    before = written
    await setTimeout(100)
  }
  assert.ok(written < 40_000_000, `${written} bytes taken for an upstream that reads nothing`)
})
