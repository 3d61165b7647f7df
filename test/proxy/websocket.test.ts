import assert from 'node:assert/strict'
import test from 'node:test'
import { code, dial, get, raw, startProxy, startUpstream, tokenSet, values, type ProxyOptions } from './harness.ts'
import {
  closing,
  message,
  open,
  refusal,
  startRefusingServer,
  startWebSocketServer,
  webSocketProxy,
} from './websockets.ts'

const handshake =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
/** Of the key above (RFC 6455 section 1.3). */
const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'

test('a WebSocket is carried with the token, the keys and the stripped headers of any other request', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port, nextRecord } = await webSocketProxy(t, `${upstream.url}/base/`, {
    route: { headers: { 'X-Request': 'r-{uuid}' } },
  })
  const record = nextRecord()
  const { peer } = await open(t, port, '/ws/chat?room=1%2F2', { headers: { Cookie: 'a=b' } })
  peer.send('hello')
  assert.equal((await message(peer)).data.toString(), 'hello')
  const [request] = upstream.seen
  assert.ok(request)
  assert.equal(request.url, '/base/chat?room=1%2F2')
  assert.deepEqual(values(request.rawHeaders, 'authorization'), ['Bearer sky-1'])
  assert.deepEqual(values(request.rawHeaders, 'x-key'), ['key'])
  assert.deepEqual(values(request.rawHeaders, 'cookie'), ['a=b'])
  assert.deepEqual(values(request.rawHeaders, 'host'), [`127.0.0.1:${upstream.port}`])
  assert.match(values(request.rawHeaders, 'x-request').join(), /^r-[\da-f]{8}-[\da-f-]{27}$/)
  peer.close()
  await closing(peer)
  const { status, route, path, ending, attempts, upstreamMs, error } = await record
  assert.deepEqual(
    { status, route, path, ending, attempts, error },
    { status: 101, route: '/ws/', path: '/ws/chat', ending: 'answered', attempts: 1, error: undefined },
  )
  assert.ok((upstreamMs ?? -1) >= 0)
})

for (const target of [
  '/ws/a?q=%zz&r=%',
  '/ws//evil/x',
  '/ws/a/./b/.../c',
  '/ws/%zz',
  '/ws/%252e%252e/x',
  '/ws/?a=b?c\'"<>|',
]) {
  test(`the target of a WebSocket goes upstream byte by byte: ${target}`, async (t) => {
    const upstream = await startRefusingServer(t, () => `${accepted}\r\n`)
    const { port } = await webSocketProxy(t, upstream.url)
    assert.equal((await raw(t, port, get(target, handshake))).status, 101)
    assert.equal(upstream.seen[0]?.url, target.slice('/ws'.length))
  })
}

for (const [name, headers, target, status, expected] of [
  ['a foreign page', 'Origin: https://evil.example\r\n', '/ws/', 403, 'origin_not_allowed'],
  ['a rebound name', 'Host: evil.example\r\n', '/ws/', 403, 'host_not_allowed'],
  ['a path that leaves its prefix', '', '/ws/%2e%2e/x', 400, 'bad_request'],
  ['a backslash', '', '/ws/..\\x', 400, 'bad_request'],
  ['a body', 'Content-Length: 1\r\n', '/ws/', 400, 'bad_request'],
  ['a subprotocol twice', 'Sec-WebSocket-Protocol: a, b, a\r\n', '/ws/', 400, 'bad_request'],
  ['a second key', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n', '/ws/', 400, 'bad_request'],
] as const) {
  test(`C5: the same guard holds for WebSockets: ${name} is refused before a token is asked for`, async (t) => {
    const upstream = await startWebSocketServer(t)
    const { port, sources, records } = await webSocketProxy(t, upstream.url)
    const line = get(target, handshake + headers)
    const answer = await raw(t, port, headers.startsWith('Host') ? line.replace('Host: localhost\r\n', '') : line)
    assert.equal(answer.status, status)
    assert.equal(code(answer), expected)
    assert.equal(upstream.seen.length, 0)
    assert.deepEqual(sources['sky']?.asked, [])
    while (records.length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([records[0]?.status, records[0]?.errorCode], [status, expected])
  })
}

test('a listed origin may open WebSockets, and the caller secret is asked for', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url, {
    proxy: { allowedOrigins: ['https://app.example'], callerSecret: 'open sesame' },
  })
  const headers = { Origin: 'https://app.example' }
  const refused = await refusal(t, port, '/ws/', { headers })
  assert.deepEqual([refused.status, refused.headers['bearer-sidecar-error']], [403, 'caller_secret_required'])
  await open(t, port, '/ws/', { headers: { ...headers, 'Bearer-Sidecar-Secret': 'open sesame' } })
  assert.equal(upstream.seen.length, 1)
  assert.equal(upstream.seen[0]?.headers.origin, 'https://app.example')
  assert.equal(upstream.seen[0].headers['bearer-sidecar-secret'], undefined)
})

test('a WebSocket uses the token of the subject that it names', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url, { credentials: { sky: { subjectHeader: 'X-Tenant' } } })
  assert.equal((await refusal(t, port)).headers['bearer-sidecar-error'], 'subject_required')
  await open(t, port, '/ws/', { headers: { 'X-Tenant': 'acme' } })
  assert.deepEqual(
    upstream.seen.map(({ headers }) => [headers.authorization, headers['x-tenant']]),
    [['Bearer sky/acme-1', undefined]],
  )
})

test('a caller cannot set, double or name away the headers of a WebSocket handshake', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url)
  const request = get(
    '/ws/',
    `${handshake.replace('Connection: Upgrade', 'Connection: Upgrade, Authorization, X-Key')}Authorization: evil\r\nx_key: evil\r\nX-Forwarded-For: 1\r\nX-Own: 1\r\nx-own: 2\r\n`,
  )
  const answer = await raw(t, port, request)
  assert.equal(answer.status, 101)
  const { rawHeaders } = upstream.seen[0] ?? { rawHeaders: [] }
  assert.ok(!rawHeaders.some((item) => item.includes('evil')))
  assert.deepEqual(values(rawHeaders, 'authorization'), ['Bearer sky-1'])
  assert.deepEqual(values(rawHeaders, 'x-forwarded-for'), [])
  assert.deepEqual(values(rawHeaders, 'x-own'), ['1', '2'])
  assert.deepEqual(values(rawHeaders, 'connection'), ['Upgrade'])
})

test('the upstream chooses the subprotocol, and compression is offered to nobody', async (t) => {
  const upstream = await startWebSocketServer(t, {
    perMessageDeflate: true,
    handleProtocols: (offered: Set<string>) => (offered.has('v2.chat') ? 'v2.chat' : false),
  })
  const { port } = await webSocketProxy(t, upstream.url)
  const { peer } = await open(t, port, '/ws/', { protocols: ['v1.chat', 'v2.chat'], perMessageDeflate: true })
  assert.equal(peer.protocol, 'v2.chat')
  assert.equal(peer.extensions, '')
  assert.equal(upstream.peers[0]?.extensions, '')
  assert.equal(upstream.seen[0]?.headers['sec-websocket-protocol'], 'v1.chat,v2.chat')
  // A list of which the upstream takes none: its 101 says so, and the caller judges.
  const answer = await raw(t, port, get('/ws/', `${handshake}Sec-WebSocket-Protocol: v3.chat\r\n`))
  assert.equal(answer.status, 101)
  assert.doesNotMatch(answer.head, /sec-websocket-protocol/i)
})

test('fields of the upstream 101 reach the caller, those about its connection do not', async (t) => {
  const fields =
    'Set-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nAccess-Control-Allow-Origin: *\r\n'
  const upstream = await startRefusingServer(
    t,
    () => `${accepted.replace('Connection: Upgrade', 'Connection: Upgrade, X-Hop')}${fields}\r\n`,
  )
  const { port } = await webSocketProxy(t, upstream.url)
  const { head } = await raw(t, port, get('/ws/', handshake))
  const lines = head.split('\r\n')
  assert.equal(lines.filter((line) => /^(?:connection|upgrade|sec-websocket-accept):/i.test(line)).length, 3)
  assert.deepEqual(
    lines.filter((line) => /^(?:set-cookie|x-hop|keep-alive|access-control)/i.test(line)),
    ['Set-Cookie: a=1', 'Set-Cookie: b=\xe9'],
  )
})

test('a WebSocket waits for its token, and without one is refused', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port, sources } = await webSocketProxy(t, upstream.url)
  sources['sky']!.answer = () => Promise.resolve(tokenSet('fetched'))
  await open(t, port)
  assert.deepEqual(values(upstream.seen[0]?.rawHeaders ?? [], 'authorization'), ['Bearer fetched'])
  sources['sky']!.answer = () => Promise.reject(new Error('none'))
  assert.equal((await refusal(t, port)).status, 500)
  assert.equal(upstream.seen.length, 1)
})

test('handshakes count for the rate limit of the route, together with its requests', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port, nextRecord } = await webSocketProxy(t, upstream.url, {
    route: { rateLimit: { perDay: 2, maxWait: '1s' } },
  })
  await open(t, port)
  await open(t, port)
  const record = nextRecord()
  const refused = await refusal(t, port)
  assert.equal(refused.status, 429)
  assert.equal(refused.headers['bearer-sidecar-error'], 'rate_limited')
  assert.ok(Number(refused.headers['retry-after']) > 0)
  assert.equal(upstream.seen.length, 2)
  assert.equal((await record).status, 429)
  assert.equal((await raw(t, port, get('/ws/plain'))).status, 429)
})

test('a handshake waits for its turn within maxWait', async (t) => {
  const upstream = await startWebSocketServer(t)
  const { port } = await webSocketProxy(t, upstream.url, { route: { rateLimit: { perSecond: 1, maxWait: '5s' } } })
  const started = performance.now()
  await open(t, port)
  await open(t, port)
  assert.ok(performance.now() - started >= 990)
  assert.equal(upstream.seen.length, 2)
})

test('plain requests and other upgrades on a WebSocket route are forwarded as ever', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await webSocketProxy(t, upstream.url)
  assert.equal((await raw(t, port, get('/ws/x'))).status, 200)
  assert.equal((await raw(t, port, get('/ws/y', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'))).status, 200)
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/x', '/y'],
  )
})

test('a handshake may follow a request on its connection, but not overtake it', async (t) => {
  const { promise: go, resolve: answer } = Promise.withResolvers<undefined>()
  const upstream = await startUpstream(t, (request, response) => {
    if (request.url === '/slow') void go.then(() => response.end())
    else response.end()
  })
  const handshakes: (string | undefined)[] = []
  upstream.server.on('upgrade', (request, socket) => {
    handshakes.push(request.url)
    socket.write(`${accepted}\r\n`)
  })
  const { port } = await webSocketProxy(t, upstream.url)
  const patient = dial(t, port).write(get('/ws/fast'))
  assert.equal((await patient.answer()).status, 200)
  assert.equal((await patient.write(get('/ws/then', handshake)).answer()).status, 101)
  const hasty = dial(t, port).write(get('/ws/slow') + get('/ws/too-early', handshake))
  while (upstream.seen.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(hasty.received, '')
  answer(undefined)
  assert.deepEqual([(await hasty.answer()).status, (await hasty.answer()).status], [200, 400])
  assert.equal(await hasty.untilClosed(), '')
  assert.deepEqual(handshakes, ['/then'])
  assert.equal(upstream.seen.length, 2)
})

test('after a reload open WebSockets go on and new ones take the new route', async (t) => {
  const first = await startWebSocketServer(t)
  const second = await startWebSocketServer(t)
  const options = (upstream: string, websocket = true): ProxyOptions => ({
    routes: [{ path: '/ws/', upstream, websocket }],
  })
  const { proxy, port, setup } = await startProxy(t, options(first.url, false))
  assert.equal((await refusal(t, port)).status, 426)
  await proxy.use(setup(options(first.url)))
  const { peer: old } = await open(t, port)
  await proxy.use(setup(options(second.url)))
  const { peer: fresh } = await open(t, port)
  for (const peer of [old, fresh]) {
    peer.send('still here')
    await message(peer)
  }
  assert.deepEqual([first.seen.length, second.seen.length], [1, 1])
  await proxy.use(setup(options(second.url, false)))
  old.send('and on')
  await message(old)
})
