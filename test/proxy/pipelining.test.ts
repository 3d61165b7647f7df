import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { code, dial, get, host, startProxy, startUpstream, startWireUpstream, type Caller } from './harness.ts'

const post = (target: string, headers = '') => `POST ${target} HTTP/1.1\r\n${host}${headers}Content-Length: 2\r\n\r\nhi`

const targets = ({ seen }: { seen: readonly { readonly target: string }[] }) => seen.map(({ target }) => target)

/** A proxy before an upstream whose answers to /slow wait for `answer()`. */
async function slowProxy(t: TestContext, proxy = {}) {
  const held: (() => void)[] = []
  const upstream = await startUpstream(t, (request, response) => {
    if (request.url === '/slow') held.push(() => response.end('slow'))
    else response.end('quick')
  })
  const started = async (requests: number) => {
    const deadline = Date.now() + 5000
    while (upstream.seen.length < requests) {
      assert.ok(Date.now() < deadline, `only ${upstream.seen.length} requests arrived`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return {
    ...(await startProxy(t, { routes: [{ upstream: upstream.url }], proxy })),
    upstream,
    started,
    answer: () => {
      for (const respond of held.splice(0)) respond()
    },
  }
}

/** Lets what was written arrive and be looked at. */
async function settled(caller: Caller): Promise<void> {
  await setTimeout(30)
  assert.equal(caller.received, '')
}

test('pipelined requests are forwarded one after the other and answered in order', async (t) => {
  let running = 0
  let most = 0
  const upstream = await startUpstream(t, (request, response) => {
    most = Math.max(most, ++running)
    setImmediate(() => {
      running--
      response.end(request.url)
    })
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const post = `POST /2 HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`
  const caller = dial(t, port).write(`${get('/1')}${post}${get('/3')}${get('/4')}`)
  for (const target of ['/1', '/2', '/3', '/4']) assert.equal((await caller.answer()).body, target)
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/1', '/2', '/3', '/4'],
  )
  assert.equal(most, 1)
})

test('of the pipelined requests of a caller that leaves, those not begun are never sent, and all are accounted for', async (t) => {
  const upstream = await startUpstream(t, () => undefined)
  const { port, proxy, records, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const first = nextRecord()
  const caller = dial(t, port).write(`${get('/1')}POST /2 HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi${get('/3')}`)
  while (upstream.seen.length === 0 || proxy.inFlight < 3) await new Promise((resolve) => setImmediate(resolve))
  caller.close()
  await first
  while (proxy.inFlight > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/1'],
  )
  assert.deepEqual(
    records.map(({ status }) => status),
    [499, 499, 499],
  )
})

for (const [name, sequel, status, error] of [
  ['garbage', 'GARBAGE\r\n\r\n', 400, 'bad_request'],
  ['a NUL', '\0', 400, 'bad_request'],
  ['an unknown method', `FOO /x HTTP/1.1\r\n${host}\r\n`, 405, 'method_not_allowed'],
  ['CONNECT', `CONNECT x:1 HTTP/1.1\r\n${host}\r\n`, 405, 'method_not_allowed'],
  ['a head of 40 KB', `GET /x HTTP/1.1\r\n${host}A: ${'a'.repeat(40_000)}`, 431, 'headers_too_large'],
] as const) {
  for (const together of [false, true]) {
    test(`${name} behind a request, ${together ? 'in one write' : 'later'}, is answered after it, and the connection closed`, async (t) => {
      const { port, upstream, started, answer, proxy } = await slowProxy(t)
      const caller = dial(t, port)
      if (together) caller.write(post('/slow') + sequel)
      await (together ? started(1) : (caller.write(post('/slow')), started(1)))
      if (!together) caller.write(sequel)
      await settled(caller)
      answer()
      assert.equal((await caller.answer()).body, 'slow')
      const second = await caller.answer()
      assert.equal(second.status, status)
      assert.equal(code(second), error)
      assert.match(second.head, /^Connection: close$/im)
      assert.equal(await caller.untilClosed(), '')
      assert.deepEqual(targets(upstream), ['/slow'])
      assert.equal(upstream.seen[0]?.body.toString(), 'hi')
      assert.equal(proxy.inFlight, 0)
    })
  }
}

test('a large answer comes whole though CONNECT stands behind its request', async (t) => {
  const piece = Buffer.alloc(1024 * 1024, 'x')
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'Content-Length': 12 * piece.length })
    for (let count = 0; count < 12; count++) response.write(piece)
    response.end()
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port).write(`${get('/big')}CONNECT x:1 HTTP/1.1\r\n${host}\r\n`)
  caller.socket.pause()
  await setTimeout(50)
  caller.socket.resume()
  const received = await caller.untilClosed()
  assert.equal(received.split('x', 1)[0]?.includes(' 200 '), true)
  assert.equal(received.lastIndexOf('xHTTP/1.1 405 '), received.indexOf('\r\n\r\n') + 3 + 12 * piece.length)
})

for (const [name, sequel] of [
  ['a request', get('/x')],
  ['garbage', 'GARBAGE\r\n\r\n'],
] as const) {
  for (const together of [false, true]) {
    test(`${name} behind Connection: close, ${together ? 'in one write' : 'later'}, is ignored (RFC 9112 section 9.6)`, async (t) => {
      const { port, upstream, started, answer } = await slowProxy(t)
      const caller = dial(t, port).write(post('/slow', 'Connection: close\r\n') + (together ? sequel : ''))
      await started(1)
      if (!together) caller.write(sequel)
      await settled(caller)
      answer()
      assert.equal((await caller.answer()).body, 'slow')
      assert.equal(await caller.untilClosed(), '')
      assert.deepEqual(targets(upstream), ['/slow'])
    })
  }
}

test('a malformed body breaks its own request, not the one before it', async (t) => {
  const { port, upstream, started, answer, records } = await slowProxy(t)
  const caller = dial(t, port)
  caller.write(`${get('/slow')}POST /bad HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nno size\r\n`)
  await started(1)
  await settled(caller)
  answer()
  assert.equal((await caller.answer()).body, 'slow')
  assert.equal((await caller.answer()).status, 400)
  assert.equal(await caller.untilClosed(), '')
  assert.deepEqual(targets(upstream), ['/slow'])
  assert.deepEqual(
    records.map(({ status }) => status),
    [200, 400],
  )
})

test('a body that turns out malformed after its request was answered gets no second answer', async (t) => {
  const upstream = await startWireUpstream(t, (socket) =>
    socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n'),
  )
  const { port, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const record = nextRecord()
  const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`)
  assert.equal((await caller.answer()).status, 413)
  await record
  assert.equal(await caller.write('no size\r\n').untilClosed(), '')
})

test('a caller that ends in the middle of a further request has left: the one in progress is given up', async (t) => {
  const { port, started, nextRecord } = await slowProxy(t)
  const record = nextRecord()
  const caller = dial(t, port).write(`${get('/slow')}GET /half HT`)
  await started(1)
  caller.socket.end()
  assert.equal((await record).ending, 'caller-left')
})

test('behind a refusal that closes the connection nothing is processed (RFC 9112 section 9.6)', async (t) => {
  const { port, upstream, started, answer } = await slowProxy(t)
  const refused = `POST /x HTTP/1.1\r\nHost: evil\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi`
  const caller = dial(t, port).write(refused + post('/y'))
  assert.equal((await caller.answer()).status, 403)
  assert.equal(await caller.untilClosed(), '')
  const behind = dial(t, port).write(get('/slow') + refused + post('/y'))
  await started(1)
  await settled(behind)
  answer()
  assert.equal((await behind.answer()).body, 'slow')
  assert.equal((await behind.answer()).status, 403)
  assert.equal(await behind.untilClosed(), '')
  assert.deepEqual(targets(upstream), ['/slow'])
})

test('Expect: 100-continue without a body is no reason to close the connection', async (t) => {
  const { port, upstream } = await slowProxy(t)
  const caller = dial(t, port).write(get('/x', 'Expect: 100-continue\r\n') + post('/y'))
  assert.equal((await caller.answer()).status, 100)
  for (let count = 0; count < 2; count++) {
    const { status, head } = await caller.answer()
    assert.equal(status, 200)
    assert.doesNotMatch(head, /^Connection: close/im)
  }
  assert.deepEqual(targets(upstream), ['/x', '/y'])
})

test('when the proxy closes, requests that wait behind one in progress are not sent', async (t) => {
  const { port, proxy, upstream, started, answer } = await slowProxy(t)
  const caller = dial(t, port).write(get('/slow') + post('/second'))
  await started(1)
  const closed = proxy.close(5000)
  await settled(caller)
  answer()
  const only = await caller.answer()
  assert.equal(only.body, 'slow')
  assert.match(only.head, /^Connection: close$/im)
  assert.equal(await caller.untilClosed(), '')
  assert.equal(await closed, true)
  assert.deepEqual(targets(upstream), ['/slow'])
  assert.equal(proxy.inFlight, 0)
})

test('any number of requests in one write is answered, in order and with their bodies', async (t) => {
  const upstream = await startUpstream(t, (request, response) => response.end(request.url))
  const { port, proxy } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const count = 1500
  const large = 'x'.repeat(100_000)
  const requests = Array.from({ length: count }, (_, index) => (index % 2 === 0 ? get(`/${index}`) : post(`/${index}`)))
  const caller = dial(t, port).write(
    `${requests.join('')}PUT /large HTTP/1.1\r\n${host}Content-Length: ${large.length}\r\n\r\n${large}${get('/last')}`,
  )
  const expected = [...requests.keys()].map((index) => `/${index}`).concat('/large', '/last')
  for (const target of expected) assert.equal((await caller.answer()).body, target)
  assert.deepEqual(targets(upstream), expected)
  assert.ok(upstream.seen.every(({ method, body }) => method !== 'POST' || body.toString() === 'hi'))
  assert.equal(upstream.seen.at(-2)?.body.length, large.length)
  assert.equal(proxy.inFlight, 0)
})

test('a caller that pipelines without end is read no further than a packet or two, and no time-out cuts it off for that', async (t) => {
  const { port, proxy, started, answer } = await slowProxy(t, { timeouts: { requestHeaders: '100ms' } })
  const caller = dial(t, port).write(get('/slow', `X-Pad: ${'x'.repeat(500)}\r\n`).repeat(20_000))
  await started(1)
  // Node looks at its time-outs once a second.
  await setTimeout(1300)
  assert.ok(proxy.inFlight < 1000, `${proxy.inFlight}`)
  for (let count = 1; count <= 1000; count++) {
    await started(count)
    answer()
    assert.equal((await caller.answer()).body, 'slow')
  }
  assert.equal(caller.ended, false)
})

test('refused requests that wait for their turn are accounted for when the caller leaves', async (t) => {
  const { port, proxy, records, started } = await slowProxy(t)
  const caller = dial(t, port).write(`${get('/slow')}GET /x HTTP/1.1\r\nHost: evil\r\n\r\n`)
  await started(1)
  while (proxy.inFlight < 2) await new Promise((resolve) => setImmediate(resolve))
  caller.close()
  while (proxy.inFlight > 0) await setTimeout(5)
  assert.deepEqual(
    records.map(({ ending }) => ending),
    ['caller-left', 'caller-left'],
  )
})
