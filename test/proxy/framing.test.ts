import assert from 'node:assert/strict'
import test from 'node:test'
import { code, dial, get, host, raw, startProxy, startUpstream, startWireUpstream } from './harness.ts'

const chunked = 'Transfer-Encoding: chunked\r\n'
const post = `POST / HTTP/1.1\r\n${host}`

const attacks: Record<string, string> = {
  'Content-Length and Transfer-Encoding': `${post}Content-Length: 4\r\n${chunked}\r\n0\r\n\r\n`,
  'two different Content-Length': `${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
  'two equal Content-Length': `${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`,
  'Content-Length: +5': `${post}Content-Length: +5\r\n\r\nabcde`,
  'Content-Length: 5, 5': `${post}Content-Length: 5, 5\r\n\r\nabcde`,
  'Transfer-Encoding: xchunked': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'Transfer-Encoding: gzip, chunked': `${post}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n${get('/next')}`,
  'Transfer-Encoding: gzip and chunked': `${post}Transfer-Encoding: gzip\r\n${chunked}\r\n0\r\n\r\n`,
  'Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\nConnection: keep-alive\r\n${chunked}\r\n1\r\na\r\n0\r\n\r\n${get('/next')}`,
  'Transfer-Encoding: chunked, identity': `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'Transfer-Encoding twice': `${post}${chunked}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
  'a blank before the colon': `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  'a folded header': `${post}X-A: 1\r\n  Content-Length: 5\r\n\r\n`.replace('X-A: 1\r\n ', 'X-A:\r\n'),
  'line ends of LF alone': `POST / HTTP/1.1\nHost: localhost\nContent-Length: 1\n\na`,
  'a CR alone in a header': `${post}X-A: 1\rX-B: 2\r\n\r\n`,
  'a NUL in a header': `${post}X-A: 1\x002\r\n\r\n`,
  'a chunk size that overflows': `${post}${chunked}\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n`,
  'a chunk ended by LF alone': `${post}${chunked}\r\n1\na\r\n0\r\n\r\n`,
  'a chunk longer than its size': `${post}${chunked}\r\n1\r\nab\r\n0\r\n\r\n`,
}

for (const [name, request] of Object.entries(attacks)) {
  test(`B1: ${name} is answered 400 and closed, and not a byte goes upstream`, async (t) => {
    const upstream = await startWireUpstream(t, (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
    const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const caller = dial(t, port).write(request)
    const received = await caller.untilClosed()
    assert.match(received, /^HTTP\/1\.1 400 /)
    assert.match(received, /bearer-sidecar-error: bad_request/i)
    assert.equal(received.split(/HTTP\/1\.1 \d/).length, 2)
    assert.deepEqual(upstream.received, [])
  })
}

test('B2: a body behind a GET is forwarded as its body and never becomes a request of its own', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
  const caller = dial(t, port)
  caller.write(`GET /first HTTP/1.1\r\n${host}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}${get('/victim')}`)
  assert.equal((await caller.answer()).status, 200)
  assert.equal((await caller.answer()).status, 200)
  assert.deepEqual(
    upstream.seen.map(({ target, body }) => [target, body.toString()]),
    [
      ['/first', smuggled],
      ['/victim', ''],
    ],
  )
})

test('B3: chunk extensions and trailers end here', async (t) => {
  const upstream = await startWireUpstream(t, (socket, text) => {
    if (text.endsWith('0\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  await raw(t, port, `${post}${chunked}\r\n5;foo="bar"\r\nhello\r\n0;x=y\r\nX-Trailer: 1\r\n\r\n`)
  const [wire = ''] = upstream.received
  assert.ok(wire.endsWith('\r\n\r\n5\r\nhello\r\n0\r\n\r\n'), wire)
  assert.ok(!/foo|x-trailer/i.test(wire))
})

test('B4: HTTP/0.9 is refused', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const answer = await raw(t, port, 'GET /a\r\n\r\n')
  assert.equal(answer.status, 400)
  assert.equal(upstream.seen.length, 0)
})

test('B5: two Host fields, or none in HTTP/1.1, are refused; HTTP/1.0 needs none', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  assert.equal((await raw(t, port, get('/', 'Host: localhost\r\n'))).status, 400)
  assert.equal((await raw(t, port, 'GET / HTTP/1.1\r\nhOST: localhost\r\nHost: evil\r\n\r\n')).status, 400)
  assert.equal((await raw(t, port, 'GET / HTTP/1.1\r\nX: 1\r\n\r\n')).status, 400)
  assert.equal(upstream.seen.length, 0)
  assert.equal((await raw(t, port, 'GET / HTTP/1.0\r\n\r\n')).status, 200)
})

const badAnswers: Record<string, string> = {
  'Content-Length and chunked': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two Content-Length': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na',
  garbage: 'SSH-2.0-OpenSSH_9.9\r\n',
  'status 000': 'HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n',
  'an unsolicited 101': 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  'a NUL in a header (A7)': 'HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n',
  'a CR in a header (A7)': 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n',
  'a chunk size that is none': `HTTP/1.1 200 OK\r\n${chunked}\r\nzz\r\n`,
  'a chunk size that overflows': `HTTP/1.1 200 OK\r\n${chunked}\r\nffffffffffffffffff\r\n`,
  'a chunk ended by LF alone': `HTTP/1.1 200 OK\r\n${chunked}\r\n2\nok\r\n0\r\n\r\n`,
  'a chunk longer than its size': `HTTP/1.1 200 OK\r\n${chunked}\r\n2\r\nokk0\r\n\r\n`,
}

for (const [name, response] of Object.entries(badAnswers)) {
  test(`B6: an upstream that answers with ${name} gives 502 and its connection is not used again`, async (t) => {
    let good = false
    const upstream = await startWireUpstream(t, (socket) =>
      socket.write(Buffer.from(good ? 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' : response, 'latin1')),
    )
    const { port, records } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const answer = await raw(t, port, get('/'))
    assert.equal(answer.status, 502)
    assert.equal(code(answer), 'upstream_protocol_error')
    assert.deepEqual([records[0]?.status, records[0]?.ending], [502, 'answered'])
    assert.ok(!answer.body.includes('127.0.0.1') && !answer.body.includes('assert'), answer.body)
    good = true
    assert.equal((await raw(t, port, get('/'))).status, 200)
    assert.equal(upstream.received.length, 2)
  })
}

test('B7: a second answer on an idle connection is not given to the next caller', async (t) => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst'
  const upstream = await startWireUpstream(t, (socket, _text, connection) => {
    socket.write(connection === 0 ? `${ok}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison` : ok)
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  assert.equal((await raw(t, port, get('/'))).body, 'first')
  assert.equal((await raw(t, port, get('/'))).body, 'first')
})

test('B8: Expect: 100-continue gets 100 before its body is read, an unknown Expect 417', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port).write(`PUT / HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`)
  await caller.until((text) => text === 'HTTP/1.1 100 Continue\r\n\r\n')
  caller.received = ''
  caller.write('abc')
  assert.equal((await caller.answer()).status, 200)
  assert.equal(upstream.seen[0]?.body.toString(), 'abc')
  assert.equal(upstream.seen[0].headers.expect, undefined)
  const refused = await raw(t, port, `PUT / HTTP/1.1\r\n${host}Expect: foo\r\nContent-Length: 3\r\n\r\n`)
  assert.equal(refused.status, 417)
  assert.equal(code(refused), 'expectation_failed')
})

test('B8: a caller that waits for 100 and is refused is not asked for its body', async (t) => {
  const { port } = await startProxy(t, { routes: [{ upstream: 'http://127.0.0.1:1', path: '/only/' }] })
  const caller = dial(t, port).write(`PUT /no HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`)
  const received = await caller.untilClosed()
  assert.match(received, /^HTTP\/1\.1 404 /)
  assert.match(received, /connection: close/i)
})

test('B9: 100 and 103 of the upstream are passed over, the final answer is delivered', async (t) => {
  const upstream = await startWireUpstream(t, (socket) =>
    socket.write(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok',
    ),
  )
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const answer = await raw(t, port, get('/'))
  assert.match(answer.head, /^HTTP\/1\.1 200 Fine\r\n/)
  assert.equal(answer.body, 'ok')
})

for (const [name, method, response] of [
  ['HEAD with Content-Length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n'],
  ['204', 'GET', 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'],
  ['304 with Content-Length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\nETag: "x"\r\n\r\n'],
] as const) {
  test(`B10: ${name} passes without a body, its head unchanged, and the connection goes on`, async (t) => {
    const upstream = await startWireUpstream(t, (socket) => socket.write(response))
    const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const caller = dial(t, port)
    for (let count = 0; count < 2; count++) {
      caller.write(`${method} / HTTP/1.1\r\n${host}\r\n`)
      const text = await caller.until((received) => received.includes('\r\n\r\n'))
      assert.ok(text.startsWith(response.slice(0, response.indexOf('\r\n\r\n'))), text)
      assert.ok(text.endsWith('\r\n\r\n'))
      caller.received = ''
    }
    assert.equal(upstream.received.length, 1)
  })
}

test('B10: a 204 loses its Content-Length and what the upstream sends behind it, and that connection is not used again', async (t) => {
  const upstream = await startWireUpstream(t, (socket) =>
    socket.write('HTTP/1.1 204 No Content\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello'),
  )
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port)
  for (let count = 0; count < 2; count++) {
    const { head } = await caller.write(get('/')).answer()
    assert.match(head, /^HTTP\/1\.1 204 No Content\r\nX-A: 1\r\n/)
    assert.doesNotMatch(head, /content-length|transfer-encoding/i)
  }
  assert.equal(caller.received, '')
  assert.equal(upstream.received.length, 2)
})

test('B6: chunks that break when a part of the answer is out end it visibly, with the reason on record', async (t) => {
  const upstream = await startWireUpstream(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${chunked}\r\n4\r\npart\r\n`)
    setTimeout(() => socket.write('zz\r\n'), 50)
  })
  const { port, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const over = nextRecord()
  const received = await dial(t, port).write(get('/')).untilClosed()
  assert.ok(received.endsWith('4\r\npart\r\n'), received)
  const { status, ending, errorCode } = await over
  assert.deepEqual([status, ending, errorCode], [200, 'broken-off', 'upstream_protocol_error'])
})

for (const headers of [
  'Upgrade: h2c\r\n',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n',
  'Connection: upgrade\r\nUpgrade: foo/1\r\n',
]) {
  test(`B11: an upgrade that is not for us is ignored: ${JSON.stringify(headers)}`, async (t) => {
    const upstream = await startUpstream(t)
    const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const answer = await raw(t, port, `POST / HTTP/1.1\r\n${host}${headers}Content-Length: 2\r\n\r\nhi`)
    assert.equal(answer.status, 200)
    assert.equal(upstream.seen[0]?.headers.upgrade, undefined)
    assert.equal(upstream.seen[0]?.headers['http2-settings'], undefined)
    assert.equal(upstream.seen[0]?.body.toString(), 'hi')
  })
}
