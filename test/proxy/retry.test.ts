import assert from 'node:assert/strict'
import test from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { settle, TestClock } from '../helpers/clock.ts'
import {
  dial,
  get,
  host,
  raw,
  startProxy,
  startUpstream,
  startWireUpstream,
  values,
  type ProxyOptions,
} from './harness.ts'

const expired = '{"message":"The required Authorization header was missing or invalid, or the token has expired"}'
const wrongRole = '{"errors":[{"message":"You do not have access to this route."}]}'
const badKey = '{"message":"Access denied due to invalid subscription key."}'

/** An upstream that takes only the given tokens and answers the rest with `body`. */
async function rejecting(
  t: test.TestContext,
  good: string[],
  body: string | Buffer,
  options: { status?: number; headers?: Record<string, string>; proxyOptions?: Partial<ProxyOptions> } = {},
) {
  const upstream = await startUpstream(t, (request, response) => {
    if (good.includes(request.headers.authorization ?? '')) response.end('served')
    else response.writeHead(options.status ?? 401, options.headers).end(body)
  })
  const started = await startProxy(t, { routes: [{ upstream: upstream.url }], ...options.proxyOptions })
  return { upstream, ...started, source: started.sources['sky']! }
}

test('an expired-token 401 is renewed and replayed once', async (t) => {
  const { port, upstream, source, replays } = await rejecting(t, ['Bearer sky-2'], expired)
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.body, 'served')
  assert.equal(upstream.seen.length, 2)
  assert.equal(source.renewals.length, 1)
  assert.deepEqual(replays, ['success'])
  assert.ok(!/bearer-sidecar/i.test(answer.head))
})

for (const [name, body] of [
  ['a missing role', wrongRole],
  ['a bad key', badKey],
] as const) {
  test(`a 401 about ${name} passes unchanged and renews nothing`, async (t) => {
    const { port, upstream, source, replays } = await rejecting(t, [], body)
    const answer = await raw(t, port, get('/'))
    assert.equal(answer.status, 401)
    assert.equal(answer.body, body)
    assert.equal(upstream.seen.length, 1)
    assert.deepEqual([source.renewals, replays], [[], []])
  })
}

for (const [coding, encode, variant] of [
  ['gzip', gzipSync, ''],
  ['deflate', deflateSync, ''],
  ['deflate', deflateRawSync, ' (bare)'],
  ['br', brotliCompressSync, ''],
  ['zstd', zstdCompressSync, ''],
] as const) {
  test(`a ${coding}${variant} body is judged by what it says and passes in its own bytes`, async (t) => {
    const body = encode(wrongRole)
    const { url, upstream, source } = await rejecting(t, [], body, {
      headers: { 'Content-Encoding': coding, 'Content-Length': String(body.length) },
    })
    const { port } = new URL(url)
    const answer = await raw(t, Number(port), get('/'))
    assert.equal(answer.body, body.toString('latin1'))
    assert.equal(upstream.seen.length, 1)
    assert.deepEqual(source.renewals, [])
  })
}

test('a body that unfolds to a thousand times its size is judged by its first 64 KiB and passes', async (t) => {
  const body = gzipSync(Buffer.alloc(100_000_000, ' '))
  const { url, source } = await rejecting(t, ['Bearer sky-2'], body, { headers: { 'Content-Encoding': 'gzip' } })
  const response = await fetch(url)
  assert.equal(await response.text(), 'served')
  assert.equal(source.renewals.length, 1)
})

test('a rejected answer of several megabytes passes whole, byte for byte', async (t) => {
  const body = Buffer.alloc(3_000_000, 'y')
  body.write('"errors":', 100)
  const { url, upstream } = await rejecting(t, [], body)
  const response = await fetch(url)
  assert.equal(response.status, 401)
  assert.ok(Buffer.from(await response.arrayBuffer()).equals(body))
  assert.equal(upstream.seen.length, 1)
})

test('K11: when the renewed token is rejected too, that answer passes and the token is distrusted', async (t) => {
  const { port, upstream, source, replays } = await rejecting(t, [], expired)
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.status, 401)
  assert.equal(answer.body, expired)
  assert.equal(upstream.seen.length, 2)
  assert.deepEqual(source.distrusted, ['sky-2'])
  assert.deepEqual(replays, ['rejected_again'])
})

for (const [why, outcome, header] of [
  ['cooldown', 'cooldown', 'cooldown'],
  ['refresh-failed', 'refresh_failed', 'refresh-failed'],
] as const) {
  test(`when renewal is declined (${why}) the answer passes and says so`, async (t) => {
    const { port, upstream, source, replays } = await rejecting(t, [], expired)
    source.declines = why
    const answer = await raw(t, port, get('/'))
    assert.equal(answer.status, 401)
    assert.equal(answer.body, expired)
    assert.match(answer.head, new RegExp(`Bearer-Sidecar-Replay: ${header}`))
    assert.equal(upstream.seen.length, 1)
    assert.deepEqual(replays, [outcome])
  })
}

test('when the answer turns out not to be about the token it passes as if nothing had been asked', async (t) => {
  const { port, source, replays } = await rejecting(t, [], 'Access denied', {
    status: 403,
    proxyOptions: { credentials: { sky: { refresh: { on: [{ status: 403, when: 'expired-or-once' }] } } } },
  })
  source.declines = 'not-expired'
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.status, 403)
  assert.ok(!/bearer-sidecar/i.test(answer.head))
  assert.deepEqual(source.renewals, ['expired-or-once'])
  assert.deepEqual(replays, [])
})

for (const [name, headers, frame] of [
  ['sized', 'Content-Length: 200000', (body: string) => body],
  ['chunked', 'Transfer-Encoding: chunked', (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`],
] as const) {
  test(`a ${name} body of several pieces is replayed byte for byte in the same framing`, async (t) => {
    const { port, upstream } = await rejecting(t, ['Bearer sky-2'], expired)
    const body = Array.from({ length: 200_000 }, (_, index) => String.fromCharCode(index % 256)).join('')
    const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}${headers}\r\n\r\n`).write(frame(body))
    assert.equal((await caller.answer()).status, 200)
    assert.equal(upstream.seen.length, 2)
    for (const seen of upstream.seen) assert.ok(seen.body.equals(Buffer.from(body, 'latin1')))
    const field = name === 'sized' ? 'content-length' : 'transfer-encoding'
    assert.deepEqual(
      upstream.seen.map(({ rawHeaders }) => values(rawHeaders, field)),
      [[headers.split(': ')[1]], [headers.split(': ')[1]]],
    )
  })
}

test('G2: a body above replayBody is not replayed; the answer says why and the token is renewed for the next request', async (t) => {
  const { upstream } = await rejecting(t, ['Bearer sky-2'], expired)
  const large = await startProxy(t, { routes: [{ upstream: upstream.url, replayBody: '1KiB' }] })
  const answer = await raw(t, large.port, `POST / HTTP/1.1\r\n${host}Content-Length: 2000\r\n\r\n${'x'.repeat(2000)}`)
  assert.equal(answer.status, 401)
  assert.match(answer.head, /Bearer-Sidecar-Replay: body-too-large/)
  assert.deepEqual(large.replays, ['not_replayable'])
  assert.deepEqual(large.sources['sky']?.asked, [30_000])
  assert.equal((await raw(t, large.port, get('/'))).body, 'served')
})

test('an early 401 during an upload waits for the rest of the body and replays all of it', async (t) => {
  const bodies: string[] = []
  const upstream = await startWireUpstream(t, (socket, text, connection) => {
    if (connection === 0) {
      if (!socket.writableEnded) socket.end('HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    if (body.length < 400_000) return
    bodies.push(body)
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
  })
  const { port, replays } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const caller = dial(t, port)
    .write(`POST / HTTP/1.1\r\n${host}Content-Length: 400000\r\n\r\n`)
    .write('x'.repeat(200_000))
  while (upstream.sockets[0]?.writableEnded !== true) await new Promise((resolve) => setImmediate(resolve))
  caller.write('y'.repeat(200_000))
  assert.equal((await caller.answer()).body, 'done')
  assert.deepEqual(bodies, ['x'.repeat(200_000) + 'y'.repeat(200_000)])
  assert.deepEqual(replays, ['success'])
})

test('60 parallel requests with a rejected token all come through', async (t) => {
  const { url, source } = await rejecting(t, ['Bearer sky-2'], expired)
  let open: () => void = () => undefined
  source.gate = new Promise<void>((resolve) => (open = resolve))
  const all = Promise.all(Array.from({ length: 60 }, async () => (await fetch(url)).text()))
  while (source.renewals.length < 60) await new Promise((resolve) => setImmediate(resolve))
  open()
  assert.deepEqual([...new Set(await all)], ['served'])
  assert.equal(source.generation, 2)
})

test('a caller that leaves during a renewal leaves the renewal alone and gets no replay', async (t) => {
  const { port, upstream, source, nextRecord } = await rejecting(t, ['Bearer sky-2'], expired)
  let open: () => void = () => undefined
  source.gate = new Promise<void>((resolve) => (open = resolve))
  const record = nextRecord()
  const caller = dial(t, port).write(get('/'))
  while (source.renewals.length === 0) await new Promise((resolve) => setImmediate(resolve))
  caller.close()
  assert.equal((await record).status, 499)
  open()
  assert.equal((await raw(t, port, get('/'))).body, 'served')
  assert.equal(upstream.seen.length, 2)
  assert.equal(source.generation, 2)
})

test('of two tokens only the one past its recorded expiry is renewed, and both when none is', async (t) => {
  const credentials = { partner: {}, customer: { inject: { header: 'X-Authorization', value: '{token}' } } }
  const upstream = await startUpstream(t, (request, response) => {
    if (request.headers['x-authorization'] === 'customer-1') response.writeHead(401).end('expired')
    else response.end('served')
  })
  const { port, sources } = await startProxy(t, { routes: [{ upstream: upstream.url }], credentials })
  sources['customer']!.expiresAt = 1
  assert.equal((await raw(t, port, get('/'))).body, 'served')
  assert.deepEqual([sources['partner']?.renewals.length, sources['customer']?.renewals.length], [0, 1])
  sources['customer']!.expiresAt = undefined
  sources['customer']!.generation = 1
  assert.equal((await raw(t, port, get('/'))).body, 'served')
  assert.deepEqual([sources['partner']?.renewals.length, sources['customer']?.renewals.length], [1, 2])
})

test('interchangeable keys are tried in order, the working one sticks, and the change is told once', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    if (request.headers['x-key'] === 'c') response.end('served')
    else response.writeHead(401).end(badKey)
  })
  const { port, url, keyChanges, replays, sources } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    credentials: { sky: { headers: { 'X-Key': ['a', 'b', 'c'] } } },
  })
  await Promise.all(Array.from({ length: 5 }, async () => assert.equal(await (await fetch(url)).text(), 'served')))
  const before = upstream.seen.length
  assert.equal((await raw(t, port, `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx`)).body, 'served')
  assert.equal(upstream.seen.length, before + 1)
  assert.deepEqual(keyChanges, ['sky 3'])
  assert.deepEqual([replays, sources['sky']?.renewals], [[], []])
})

test('when every key is rejected the last answer passes after one try each', async (t) => {
  const upstream = await startUpstream(t, (request, response) =>
    response.writeHead(401).end(badKey + String(request.headers['x-key'])),
  )
  const { port, keyChanges } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    credentials: { sky: { headers: { 'X-Key': ['a', 'b'] } } },
  })
  assert.equal((await raw(t, port, get('/'))).body, `${badKey}b`)
  assert.equal(upstream.seen.length, 2)
  assert.deepEqual(keyChanges, [])
})

test('a route with a key of its own does not fail over', async (t) => {
  const upstream = await startUpstream(t, (_, response) => response.writeHead(401).end(badKey))
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url, headers: { 'x-key': 'payments' } }],
    credentials: { sky: { headers: { 'X-Key': ['a', 'b'] } } },
  })
  assert.equal((await raw(t, port, get('/'))).status, 401)
  assert.deepEqual(
    upstream.seen.map(({ headers }) => headers['x-key']),
    ['payments'],
  )
})

test('a token and then a key may be rejected on one request', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    if (request.headers.authorization === 'Bearer sky-1') response.writeHead(401).end(expired)
    else if (request.headers['x-key'] === 'a') response.writeHead(401).end(badKey)
    else response.end('served')
  })
  const { port, replays, keyChanges } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    credentials: { sky: { headers: { 'X-Key': ['a', 'b'] } } },
  })
  assert.equal((await raw(t, port, get('/'))).body, 'served')
  assert.equal(upstream.seen.length, 3)
  assert.deepEqual([replays, keyChanges], [['success'], ['sky 2']])
})

for (const [name, answer, status] of [
  ['garbage', 'xxxxxxxxx\r\n\r\n', 502],
  ['nothing', '', 504],
  ['the end of the connection', undefined, 502],
  ['an answer that is cut off', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab', 200],
] as const) {
  test(`a replay that meets ${name} is counted once, as one whose token was not rejected again`, async (t) => {
    const upstream = await startWireUpstream(t, (socket, text) => {
      if (text.includes('sky-2')) {
        if (answer === undefined) socket.end()
        else socket.write(answer, () => status === 200 && socket.end())
      } else socket.write('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')
    })
    const { port, replays, nextRecord } = await startProxy(t, {
      routes: [{ upstream: upstream.url }],
      headersTimeout: 300,
    })
    const record = nextRecord()
    const caller = dial(t, port).write(`POST / HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx`)
    assert.equal((await record).status, status)
    assert.equal((await record).replay, 'success')
    assert.deepEqual(replays, ['success'])
    await caller.until((text) => text.startsWith(`HTTP/1.1 ${status} `))
  })
}

test('a caller that leaves before the replay is counted as not replayed, one that leaves after it as replayed', async (t) => {
  const upstream = await startWireUpstream(t, (socket, text) => {
    if (!text.includes('sky-2')) socket.write('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')
  })
  const { port, replays, sources, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const source = sources['sky']!
  let open: () => void = () => undefined
  source.gate = new Promise<void>((resolve) => (open = resolve))
  const early = nextRecord()
  const leaver = dial(t, port).write(get('/'))
  while (source.renewals.length === 0) await new Promise((resolve) => setImmediate(resolve))
  leaver.close()
  assert.equal((await early).replay, 'not_replayable')
  open()
  while (source.generation === 1) await new Promise((resolve) => setImmediate(resolve))
  source.generation = 1
  const late = nextRecord()
  const waiter = dial(t, port).write(get('/'))
  while (!upstream.received.join('').includes('sky-2')) await new Promise((resolve) => setImmediate(resolve))
  waiter.close()
  assert.equal((await late).replay, 'success')
  assert.deepEqual(replays, ['not_replayable', 'success'])
})

/** An upstream whose 401 says `begin` of a body of 100 bytes and then nothing, or ends; other tokens than sky-1 are served. */
async function stalling(t: test.TestContext, begin: string, end: boolean, good = 'sky-2') {
  const upstream = await startWireUpstream(t, (socket, text) => {
    const served = text.slice(text.lastIndexOf('GET ')).includes(good)
    if (served) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved')
    else socket.write(`HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\n${begin}`, () => end && socket.end())
  })
  const clock = new TestClock()
  const started = await startProxy(t, { routes: [{ upstream: upstream.url }], clock })
  return { upstream, clock, ...started, source: started.sources['sky']! }
}

test('a 401 whose body stalls is judged after three seconds by what came of it', async (t) => {
  const { port, clock, upstream, source, replays } = await stalling(t, '{"message":"expi', false)
  const caller = dial(t, port).write(get('/'))
  while (!upstream.received.join('').includes('\r\n\r\n')) await settle()
  // Until the head is held: the watchdog begins to tick, beside the look at idle connections.
  while (clock.pending < 2) await settle()
  await clock.advance(2_900)
  assert.deepEqual(source.renewals, [])
  await clock.advance(1_100)
  assert.equal((await caller.answer()).body, 'served')
  assert.deepEqual([source.renewals.length, replays], [1, ['success']])
})

test('a 401 whose body stalls passes as far as it came when the token can not be renewed, and goes on', async (t) => {
  const { port, clock, upstream, source } = await stalling(t, '{"message":"expi', false)
  source.declines = 'cooldown'
  const caller = dial(t, port).write(get('/'))
  while (clock.pending < 2) await settle()
  await clock.advance(4_000)
  await caller.until((text) => text.endsWith('expi'))
  assert.match(caller.received, /^HTTP\/1.1 401 No\r\n[^]*Bearer-Sidecar-Replay: cooldown\r\n/)
  upstream.sockets[0]?.write('r'.repeat(84))
  assert.equal((await caller.answer()).body, `{"message":"expi${'r'.repeat(84)}`)
})

test('a 401 whose body is cut off is judged by what came of it', async (t) => {
  const { port, source, replays } = await stalling(t, '', true)
  assert.equal((await raw(t, port, get('/'))).body, 'served')
  assert.deepEqual([source.renewals.length, replays], [1, ['success']])
})

test('a 401 whose body is cut off after it named the key passes as far as it came', async (t) => {
  const { port, source, nextRecord } = await stalling(t, 'invalid subscription key', true)
  const record = nextRecord()
  const received = await dial(t, port).write(get('/')).untilClosed()
  assert.match(received, /^HTTP\/1.1 401 No\r\n[^]*\r\n\r\ninvalid subscription key$/)
  assert.deepEqual([source.renewals, (await record).ending, (await record).status], [[], 'broken-off', 401])
})

for (const [declines, outcome] of [
  ['refresh-failed', 'refresh_failed'],
  ['cooldown', 'cooldown'],
] as const) {
  test(`of two tokens one can not be renewed (${declines}): the other is tried, and a second rejection is laid at its door`, async (t) => {
    const credentials = { partner: {}, customer: { inject: { header: 'X-Authorization', value: '{token}' } } }
    const upstream = await startUpstream(t, (request, response) => {
      const { authorization, 'x-authorization': customer } = request.headers
      if (authorization === 'Bearer partner-2' && customer === 'customer-2') response.end('served')
      else response.writeHead(401).end('expired')
    })
    const { port, sources, replays } = await startProxy(t, { routes: [{ upstream: upstream.url }], credentials })
    const [partner, customer] = [sources['partner']!, sources['customer']!]
    customer.declines = declines
    const answer = await raw(t, port, get('/'))
    assert.equal(answer.status, 401)
    assert.match(answer.head, new RegExp(`Bearer-Sidecar-Replay: ${declines}`))
    assert.deepEqual(replays, [outcome])
    assert.equal(upstream.seen.length, 2)
    // Else every request would renew it, for as long as the other can't be.
    assert.deepEqual([partner.distrusted, customer.distrusted], [['partner-2'], []])
    // The cool-down of the one does not keep the other from coming back.
    partner.declines = 'cooldown'
    customer.declines = undefined
    assert.equal((await raw(t, port, get('/'))).body, 'served')
    assert.deepEqual(replays, [outcome, 'success'])
  })
}

test('of two tokens one can not be renewed and was not to blame: the replay with the other one serves', async (t) => {
  const credentials = { partner: {}, customer: { inject: { header: 'X-Authorization', value: '{token}' } } }
  const upstream = await startUpstream(t, (request, response) => {
    if (request.headers.authorization === 'Bearer partner-2') response.end('served')
    else response.writeHead(401).end('expired')
  })
  const { port, sources, replays } = await startProxy(t, { routes: [{ upstream: upstream.url }], credentials })
  sources['customer']!.declines = 'refresh-failed'
  assert.equal((await raw(t, port, get('/'))).body, 'served')
  assert.deepEqual(replays, ['success'])
})

test('a rejected key whose next one has no room in the rate limit is not told as a rejected token', async (t) => {
  const upstream = await startUpstream(t, (_, response) => response.writeHead(401).end(badKey))
  const { port, replays } = await startProxy(t, {
    routes: [{ upstream: upstream.url, rateLimit: { perDay: 1 } }],
    credentials: { sky: { headers: { 'X-Key': ['a', 'b'] } } },
  })
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.status, 401)
  assert.ok(!/bearer-sidecar/i.test(answer.head))
  assert.deepEqual([replays, upstream.seen.length], [[], 1])
})
