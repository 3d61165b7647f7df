import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { code, dial, get, host, raw, startProxy, startUpstream, values, type RouteSettings } from './harness.ts'

const credentials = { sky: { headers: { 'X-Api-Key': 'our-key' } } }

async function sent(t: test.TestContext, request: string, route: Partial<RouteSettings> = {}) {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url, ...route }], credentials })
  const answer = await raw(t, port, request)
  assert.equal(answer.status, 200, answer.head)
  const [seen] = upstream.seen
  assert.ok(seen)
  return seen
}

for (const connection of [
  'authorization, x-api-key',
  'close, x-api-key',
  'Authorization\t,\tX-API-KEY',
  'authorization\r\nConnection: x-api-key',
  'keep-alive, host, content-length',
]) {
  test(`A1: a caller cannot name our headers away with Connection: ${JSON.stringify(connection)}`, async (t) => {
    const seen = await sent(t, get('/', `Connection: ${connection}\r\nX-Own: 1\r\n`))
    assert.deepEqual(values(seen.rawHeaders, 'authorization'), ['Bearer sky-1'])
    assert.deepEqual(values(seen.rawHeaders, 'x-api-key'), ['our-key'])
    assert.deepEqual(values(seen.rawHeaders, 'x-own'), ['1'])
    assert.equal(values(seen.rawHeaders, 'host').length, 1)
  })
}

test('A1: what Connection does name of the caller, in any case and over several lines, goes no further', async (t) => {
  const seen = await sent(
    t,
    get('/', 'Connection: X-Hop , close\r\nConnection: x-other\r\nx-hop: 1\r\nX-OTHER: 2\r\nX-End: 3\r\n'),
  )
  assert.deepEqual(values(seen.rawHeaders, 'x-hop'), [])
  assert.deepEqual(values(seen.rawHeaders, 'x-other'), [])
  assert.deepEqual(values(seen.rawHeaders, 'x-end'), ['3'])
})

test('A2: Connection: content-length or transfer-encoding does not change the framing of the body', async (t) => {
  const sized = await sent(t, `POST / HTTP/1.1\r\n${host}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc`)
  assert.equal(sized.body.toString(), 'abc')
  assert.deepEqual(values(sized.rawHeaders, 'content-length'), ['3'])
  const chunked = await sent(
    t,
    `POST / HTTP/1.1\r\n${host}Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  )
  assert.equal(chunked.body.toString(), 'abc')
  assert.deepEqual(values(chunked.rawHeaders, 'transfer-encoding'), ['chunked'])
})

test('A3: of each injected header exactly ours goes out, whatever spelling the caller tries', async (t) => {
  const seen = await sent(
    t,
    get(
      '/',
      'authorization: evil\r\nAUTHORIZATION: evil2\r\nX-Api-Key: evil\r\nx_api_key: evil\r\nX_Api-Key: evil\r\n' +
        'Proxy-Authorization: Basic eA==\r\nProxy_Authorization: x\r\nProxy-Connection: keep-alive\r\n',
    ),
  )
  const names = seen.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  assert.deepEqual(names.filter((name) => /auth|api|proxy/.test(name)).sort(), ['authorization', 'x-api-key'])
  assert.ok(!seen.rawHeaders.some((item) => item.includes('evil')))
})

test('A4: a trailer named Authorization is dropped', async (t) => {
  const seen = await sent(
    t,
    `POST / HTTP/1.1\r\n${host}Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: evil\r\n\r\n`,
  )
  assert.deepEqual(values(seen.rawHeaders, 'authorization'), ['Bearer sky-1'])
  assert.deepEqual(values(seen.rawHeaders, 'trailer'), [])
  assert.equal(seen.body.toString(), 'a')
})

test('A5: what a caller claims about hops before it is dropped, and nothing of the kind is added', async (t) => {
  const seen = await sent(
    t,
    get(
      '/',
      'X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: evil\r\nX_Forwarded_Proto: https\r\nForwarded: for=x\r\nX-Real-IP: 2.2.2.2\r\n',
    ),
  )
  const names = seen.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  assert.deepEqual(
    names.sort(),
    ['authorization', 'connection', 'host', 'x-api-key'].sort().filter((name) => names.includes(name)),
  )
})

test('A8: 1500 header fields are answered 431 and nothing is sent', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const many = await raw(t, port, get('/', Array.from({ length: 1500 }, (_, index) => `x${index}: 1\r\n`).join('')))
  assert.equal(many.status, 431)
  assert.equal(code(many), 'headers_too_large')
  const short = await raw(t, port, get('/', `${'a: 1\r\n'.repeat(2300)}authorization: evil\r\n`))
  assert.equal(short.status, 431)
  const large = await raw(t, port, get('/', `X: ${'x'.repeat(40_000)}\r\n`))
  assert.equal(large.status, 431)
  assert.equal(code(large), 'headers_too_large')
  assert.equal(upstream.seen.length, 0)
})

test('ordinary headers keep order, spelling, repetition and bytes above 0x7f', async (t) => {
  const seen = await sent(t, get('/', 'X-B: 1\r\nx-a: caf\xe9\r\nX-b: 2\r\nCookie: a=1\r\nCookie: b=2\r\nAccept:\r\n'))
  const ours = ['Host', 'Authorization', 'X-Api-Key', 'Connection']
  const rest: string[] = []
  for (let index = 0; index < seen.rawHeaders.length; index += 2) {
    if (!ours.includes(seen.rawHeaders[index] ?? ''))
      rest.push(`${seen.rawHeaders[index]}: ${seen.rawHeaders[index + 1]}`)
  }
  assert.deepEqual(rest, ['X-B: 1', 'x-a: caf\xe9', 'X-b: 2', 'Cookie: a=1', 'Cookie: b=2', 'Accept: '])
})

test("the route's headers win over the credential's, and {uuid} is fresh for each request", async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url, headers: { 'x-api-key': 'route-key', 'Request-Reference-No': '{uuid}' } }],
    credentials,
  })
  const caller = dial(t, port)
  for (let count = 0; count < 2; count++) {
    caller.write(get('/'))
    await caller.answer()
  }
  const [first, second] = upstream.seen.map(({ rawHeaders }) => rawHeaders)
  assert.deepEqual(values(first ?? [], 'x-api-key'), ['route-key'])
  const references = [...values(first ?? [], 'request-reference-no'), ...values(second ?? [], 'request-reference-no')]
  assert.equal(references.length, 2)
  assert.match(references[0] ?? '', /^[\da-f]{8}-[\da-f]{4}-4/)
  assert.notEqual(references[0], references[1])
})

test('two credentials put two tokens on one request', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    credentials: { partner: {}, customer: { inject: { header: 'X-Authorization', value: '{token}' } } },
  })
  await raw(t, port, get('/', 'X-Authorization: evil\r\n'))
  const { rawHeaders } = upstream.seen[0] ?? { rawHeaders: [] }
  assert.deepEqual(values(rawHeaders, 'authorization'), ['Bearer partner-1'])
  assert.deepEqual(values(rawHeaders, 'x-authorization'), ['customer-1'])
})

test('property: no list of caller headers changes, doubles or removes what is injected', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], credentials })
  const name = fc.oneof(
    fc.constantFrom(
      'Connection',
      'authorization',
      'X_API_KEY',
      'x-api-key',
      'X-Forwarded-For',
      'TE',
      'Keep-Alive',
      'Proxy-X',
      'X-Ok',
    ),
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,10}$/),
  )
  const value = fc.oneof(
    fc.constantFrom('authorization', 'x-api-key, host', 'close', 'keep-alive', 'X-Ok, te', ''),
    fc.stringMatching(/^[!-~]{0,12}$/),
  )
  const reserved = new Set([
    'host',
    'content-length',
    'transfer-encoding',
    'expect',
    'upgrade',
    'origin',
    'sec-fetch-site',
  ])
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 12 }), async (fields) => {
      const legal = fields.filter(([field]) => !reserved.has(field.toLowerCase()))
      upstream.seen.length = 0
      const caller = dial(t, port)
      caller.write(get('/', legal.map(([field, text]) => `${field}: ${text}\r\n`).join('')))
      assert.equal((await caller.answer()).status, 200)
      caller.close()
      const { rawHeaders } = upstream.seen[0] ?? { rawHeaders: [] }
      const canonical = (field: string) => field.toLowerCase().replaceAll('_', '-')
      const all = rawHeaders.filter((_, index) => index % 2 === 0).map(canonical)
      assert.equal(all.filter((field) => field === 'authorization').length, 1)
      assert.equal(all.filter((field) => field === 'x-api-key').length, 1)
      assert.deepEqual(values(rawHeaders, 'authorization'), ['Bearer sky-1'])
      assert.deepEqual(values(rawHeaders, 'x-api-key'), ['our-key'])
      assert.deepEqual(rawHeaders.slice(0, 2), ['Host', upstream.host])
      assert.ok(!all.some((field) => field.startsWith('x-forwarded-') || field.startsWith('proxy-') || field === 'te'))
    }),
    { numRuns: 150 },
  )
})
