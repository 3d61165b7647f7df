import assert from 'node:assert/strict'
import test from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { Links } from '../../src/proxy/links.ts'
import { LinkRewriter } from '../../src/proxy/rewrite-links.ts'
import { RouteTable } from '../../src/proxy/routes.ts'
import { systemClock } from '../../src/clock.ts'
import { dial, get, host, raw, setupFor, startProxy, startUpstream, type RouteSettings } from './harness.ts'

const proxyOrigin = 'http://localhost:8080'

function linksOf(t: test.TestContext, routes: RouteSettings[], index = 0): Links {
  const setup = setupFor(t, { routes, rewriteLinks: true })
  const table = new RouteTable(setup, { clock: systemClock, events: {} })
  const route = table.routes.find(({ route: { config } }) => config.path === (routes[index]?.path ?? '/'))
  assert.ok(route)
  return new Links(table, route)
}

function rewrite(links: Links, pieces: readonly (string | Buffer)[]): string {
  const rewriter = new LinkRewriter(links, proxyOrigin)
  const out = pieces.map((piece) => rewriter.push(Buffer.from(piece as string, 'latin1')))
  return Buffer.concat([...out, rewriter.end()]).toString('latin1')
}

const sky = [{ upstream: 'https://api.example.com' }]

for (const [text, expected] of [
  ['{"next_link":"https://api.example.com/v1/x?a=1&b=%2F"}', '{"next_link":"http://localhost:8080/v1/x?a=1&b=%2F"}'],
  [
    '{"a":["https://api.example.com","https://api.example.com/"]}',
    '{"a":["http://localhost:8080","http://localhost:8080/"]}',
  ],
  ['"https://api.example.com:443/x"', '"http://localhost:8080/x"'],
  ['{"a":"https:\\/\\/api.example.com\\/v1\\/x"}', '{"a":"http:\\/\\/localhost:8080\\/v1\\/x"}'],
  ['{"a":"https:\\u002f\\u002fapi.example.com\\u002fx"}', '{"a":"http:\\u002f\\u002flocalhost:8080\\u002fx"}'],
  ['{"a":"<a href=\\"https://api.example.com/x\\">"}', '{"a":"<a href=\\"http://localhost:8080/x\\">"}'],
  [
    '{"a":"see https://api.example.com/x\\nhttps://api.example.com/y"}',
    '{"a":"see http://localhost:8080/x\\nhttp://localhost:8080/y"}',
  ],
  ['{"a":"https://api.example.com?x#y"}', '{"a":"http://localhost:8080?x#y"}'],
] as const) {
  test(`a link of the upstream becomes one of the proxy: ${text}`, (t) => {
    assert.equal(rewrite(linksOf(t, sky), [text]), expected)
  })
}

for (const text of [
  '{"a":"https://api.example.com.evil/x"}',
  '{"a":"https://api.example.comx/"}',
  '{"a":"https://api.example.com:8443/x"}',
  '{"a":"https://api.example.com:4430/x"}',
  '{"a":"https://api.example.com@evil/"}',
  '{"a":"https://user@api.example.com/"}',
  '{"a":"http://api.example.com/x"}',
  '{"a":"https://xapi.example.com/"}',
  '{"a":"https://store.example/?url=https://api.example.com/x&sig=1"}',
  '{"a":"https://store.example/https://api.example.com/x"}',
  '{"a":"wss://api.example.com/x"}',
  '{"a":"https://api.example.com\\u002eevil/"}',
  '{"https://api.example.com/key":1}',
  '{"https://api.example.com/key" : "x"}',
  'no json at all, https://api.example.comm',
]) {
  test(`what only looks like the upstream is left alone: ${text}`, (t) => {
    assert.equal(rewrite(linksOf(t, sky), [text]), text)
  })
}

test('a base path becomes the prefix of the route that leads there, and a path that no route covers stays', (t) => {
  const links = linksOf(t, [
    { path: '/sky/', upstream: 'https://h.example/base/' },
    { path: '/pay/', upstream: 'https://h.example/payments/' },
  ])
  assert.equal(
    rewrite(links, [
      '["https://h.example/base/x","https://h.example/base","https://h.example/payments/y","https://h.example/other"]',
    ]),
    '["http://localhost:8080/sky/x","https://h.example/base","http://localhost:8080/pay/y","https://h.example/other"]',
  )
})

test('a link is not led into a route that goes somewhere else', (t) => {
  const links = linksOf(t, [
    { path: '/', upstream: 'https://h.example/' },
    { path: '/x/', upstream: 'https://elsewhere.example/' },
  ])
  assert.equal(
    rewrite(links, ['["https://h.example/x/1","https://h.example/y"]']),
    '["https://h.example/x/1","http://localhost:8080/y"]',
  )
})

for (const [given, expected] of [
  ['https://h.example/base/x?q', 'http://p/sky/x?q'],
  ['https://h.example:443/base/', 'http://p/sky/'],
  ['/base/x', '/sky/x'],
  ['x/y', 'x/y'],
  ['//h.example/base/x', 'http://p/sky/x'],
  ['//h.example:443/base/x', 'http://p/sky/x'],
  ['//H.example/base/X?Q', 'http://p/sky/X?Q'],
  ['HTTPS://H.EXAMPLE/base/X', 'http://p/sky/X'],
  ['//h.example/elsewhere', '//h.example/elsewhere'],
  ['//h.example.evil/base/x', '//h.example.evil/base/x'],
  ['//elsewhere.example/base/x', '//elsewhere.example/base/x'],
  ['https://user@h.example/base/x', 'https://user@h.example/base/x'],
  ['https://h.example.evil/base/x', 'https://h.example.evil/base/x'],
  ['https://h.example/elsewhere', 'https://h.example/elsewhere'],
  ['https://signed.example/?sig', 'https://signed.example/?sig'],
] as const) {
  test(`Location: ${given} is passed as ${expected}`, (t) => {
    assert.equal(
      linksOf(t, [{ path: '/sky/', upstream: 'https://h.example/base/' }]).translate(given, 'http://p'),
      expected,
    )
  })
}

test('property: the cut of the stream does not show in what comes out', (t) => {
  const links = linksOf(t, [
    { path: '/sky/', upstream: 'https://api.example.com/base/' },
    { path: '/', upstream: 'https://api.example.com/' },
  ])
  const piece = fc.constantFrom(
    'https:',
    '//',
    '\\/',
    '\\/\\/',
    '\\u002f\\u002F',
    'api.example.com',
    'api.',
    'example.com',
    ':443',
    ':44',
    '/base/',
    '/',
    '"',
    '\\"',
    '\\\\',
    '{',
    '}',
    ':',
    ' ',
    ',',
    '?',
    '#',
    '.evil',
    'x',
    '\\n',
    'https://api.example.com',
    '"https://api.example.com/base/x"',
    '"https:\\/\\/api.example.com\\/y":',
    '\xc3\xa9',
    '\xa0',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(12), { maxLength: 40 }), (pieces, cuts) => {
      const text = pieces.join('')
      const whole = rewrite(links, [text])
      assert.equal(rewrite(links, cut(text, cuts)), whole)
      assert.equal(
        rewrite(
          links,
          Array.from(text, (character) => character),
        ),
        whole,
      )
    }),
    { numRuns: 1500 },
  )
})

test('property: a JSON text stays the same JSON but for the links in its string values', (t) => {
  const links = linksOf(t, sky)
  const leaf = fc.oneof(
    fc.string(),
    fc.webPath().map((path) => `https://api.example.com${path.startsWith('/') ? path : `/${path}`}`),
    fc.integer(),
    fc.constant(null),
  )
  const value = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie('node')), fc.dictionary(fc.string(), tie('node'))),
  })).node
  const translate = (node: unknown): unknown => {
    if (typeof node === 'string')
      return node.startsWith('https://api.example.com') ? node.replace('https://api.example.com', proxyOrigin) : node
    if (Array.isArray(node)) return node.map(translate)
    if (node !== null && typeof node === 'object')
      return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, translate(inner)]))
    return node
  }
  fc.assert(
    fc.property(value, fc.array(fc.nat(30), { maxLength: 20 }), (node, cuts) => {
      const text = Buffer.from(JSON.stringify(node)).toString('latin1')
      const out = Buffer.from(rewrite(links, cut(text, cuts)), 'latin1').toString()
      assert.deepEqual(JSON.parse(out), translate(JSON.parse(JSON.stringify(node))))
    }),
    { numRuns: 500 },
  )
})

function cut(text: string, cuts: readonly number[]): string[] {
  const pieces: string[] = []
  let at = 0
  for (const length of cuts) {
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return [...pieces, text.slice(at)]
}

test('nothing is held back of a stream that holds no link', (t) => {
  const rewriter = new LinkRewriter(linksOf(t, sky), proxyOrigin)
  assert.equal(rewriter.push(Buffer.from('{"event":1}\n')).toString(), '{"event":1}\n')
  assert.equal(rewriter.push(Buffer.from('{"event":"http')).toString(), '{"event":"')
})

for (const [coding, encode] of [
  ['identity', undefined],
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
] as const) {
  test(`a ${coding} JSON answer comes with its links rewritten and Content-Length gone`, async (t) => {
    const upstream = await startUpstream(t, (_, response) => {
      const text = JSON.stringify({
        next_link: `${upstream.url}/v1?page=2`,
        filler: 'z'.repeat(300_000),
        last: `${upstream.url}/end`,
      })
      const body = encode === undefined ? Buffer.from(text) : encode(text)
      response.writeHead(200, {
        'Content-Type': 'application/hal+json; charset=utf-8',
        'Content-Length': body.length,
        ...(encode && { 'Content-Encoding': coding }),
        Location: `${upstream.url}/v1/made`,
      })
      response.end(body)
    })
    const { port } = await startProxy(t, { routes: [{ upstream: upstream.url, rewriteLinks: true }] })
    const answer = await raw(
      t,
      port,
      get('/', 'Accept-Encoding: gzip, br\r\n').replace('localhost', `localhost:${port}`),
    )
    assert.ok(!/content-encoding|content-length/i.test(answer.head), answer.head)
    assert.match(answer.head, new RegExp(`Location: http://localhost:${port}/v1/made`))
    const { next_link, last } = JSON.parse(answer.body) as { next_link: string; last: string }
    assert.equal(next_link, `http://localhost:${port}/v1?page=2`)
    assert.equal(last, `http://localhost:${port}/end`)
  })
}

test('other content types, ranges, stacked codings and HEAD pass as they are', async (t) => {
  const types: [number, Record<string, string>][] = [
    [200, { 'Content-Type': 'text/plain' }],
    [206, { 'Content-Type': 'application/json' }],
    [200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip, gzip' }],
  ]
  let [status, headers] = types[0]!
  const upstream = await startUpstream(t, (_, response) => {
    const text = `"${upstream.url}/x"`
    response.writeHead(status, { ...headers, 'Content-Length': text.length }).end(text)
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }], rewriteLinks: true })
  for ([status, headers] of types) {
    const answer = await raw(t, port, get('/'))
    assert.equal(answer.body, `"${upstream.url}/x"`)
    assert.match(answer.head, /Content-Length/)
  }
  ;[status, headers] = [200, { 'Content-Type': 'application/json' }]
  const head = await dial(t, port)
    .write(`HEAD / HTTP/1.1\r\n${host}\r\n`)
    .until((text) => text.includes('\r\n\r\n'))
  assert.match(head, /Content-Length: \d+/)
})

test('publicUrl is where links lead when it is set', async (t) => {
  const upstream = await startUpstream(t, (_, response) =>
    response.setHeader('Content-Type', 'application/json').end(`"${upstream.url}/x"`),
  )
  const { url } = await startProxy(t, {
    routes: [{ upstream: upstream.url, rewriteLinks: true }],
    proxy: { publicUrl: 'https://api.internal:8443' },
  })
  assert.equal(await (await fetch(url)).json(), 'https://api.internal:8443/x')
})

test('a thousand links in one string cost no more than in a thousand strings', (t) => {
  const links = linksOf(t, sky)
  const cost = (separator: string) => {
    const text = Buffer.from(`["${Array(20_000).fill('https://api.example.com/a').join(separator)}"]`)
    const before = process.cpuUsage()
    const rewriter = new LinkRewriter(links, proxyOrigin)
    const out = Buffer.concat([rewriter.push(text), rewriter.end()]).toString()
    assert.ok(!out.includes('api.example.com'))
    const { user, system } = process.cpuUsage(before)
    return user + system
  }
  cost('","')
  assert.ok(cost(' ') < 4 * cost('","'))
})

/** What became of a JSON answer with these header fields and this body. */
async function rewritten(t: test.TestContext, headers: Record<string, string>, body: Buffer, headAlone = false) {
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', ...headers })
    if (!headAlone) response.end(body)
    else {
      response.flushHeaders()
      setTimeout(() => response.end(body), 50)
    }
  })
  const { port, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url, rewriteLinks: true }] })
  const over = nextRecord()
  const caller = dial(t, port).write(get('/', 'Connection: close\r\n'))
  return { received: await caller.untilClosed(), record: await over }
}

for (const [story, coding, body, headAlone] of [
  ['no brotli', 'br', Buffer.from('{"a":1}'), false],
  ['no gzip', 'gzip', Buffer.from('not gzip'), false],
  ['no gzip, that comes after its head', 'gzip', Buffer.from('not gzip'), true],
  ['the head of a gzip', 'gzip', gzipSync('{"a":1}').subarray(0, 10), false],
] as const) {
  test(`a body that is ${story} is answered 502, with the reason on record`, async (t) => {
    const { received, record } = await rewritten(t, { 'Content-Encoding': coding }, body, headAlone)
    assert.match(received, /^HTTP\/1\.1 502 Bad Gateway\r\n[^]*"code":"upstream_protocol_error"/)
    assert.deepEqual([record.status, record.errorCode], [502, 'upstream_protocol_error'])
    assert.match((record.error?.cause as Error).message, new RegExp(`not whole ${coding}`))
  })
}

test('a gzip body whose damage shows late ends visibly short, with the reason on record', async (t) => {
  const text = Array.from({ length: 30_000 }, (_, at) => at).join()
  const { received, record } = await rewritten(
    t,
    { 'Content-Encoding': 'gzip' },
    gzipSync(`[${text}]`).subarray(0, -20),
  )
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n/)
  assert.ok(!received.endsWith('\r\n0\r\n\r\n'))
  assert.deepEqual([record.ending, record.errorCode], ['broken-off', 'upstream_protocol_error'])
})

test('JSON that is only labelled as compressed passes, without the label', async (t) => {
  for (const coding of ['gzip', 'zstd']) {
    const { received } = await rewritten(t, { 'Content-Encoding': coding }, Buffer.from('{"a":1}'))
    assert.match(received, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n7\r\n\{"a":1\}\r\n0\r\n\r\n$/)
    assert.doesNotMatch(received, /content-encoding/i)
  }
})

const aboutBytes = {
  'Content-MD5': 'a=',
  Digest: 'md5=a',
  'Content-Digest': 'sha-256=:a:',
  'Repr-Digest': 'sha-256=:a:',
  'Accept-Ranges': 'bytes',
}

test('what a changed body makes untrue goes: digests and ranges; its entity tag stays as a weak one', async (t) => {
  const changed = await rewritten(t, { ...aboutBytes, ETag: '"v1"', 'Last-Modified': 'then' }, Buffer.from('{}'))
  assert.doesNotMatch(changed.received, /digest|md5|ranges/i)
  assert.match(changed.received, /ETag: W\/"v1"\r\nLast-Modified: then\r\n/)
  const weak = await rewritten(t, { ETag: 'W/"v1"' }, Buffer.from('{}'))
  assert.match(weak.received, /ETag: W\/"v1"\r\n/)
  const other = await rewritten(t, { ...aboutBytes, 'Content-Type': 'text/plain', ETag: '"v1"' }, Buffer.from('{}'))
  for (const [name, value] of Object.entries({ ...aboutBytes, ETag: '"v1"' })) {
    assert.ok(other.received.includes(`\r\n${name}: ${value}\r\n`), name)
  }
})

test('the weak entity tag of a changed body finds it unchanged, and the 304 names the same tag', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    const fresh = request.headers['if-none-match']?.replace(/^W\//, '') === '"v1"'
    response.writeHead(fresh ? 304 : 200, { ETag: '"v1"', ...(!fresh && { 'Content-Type': 'application/json' }) })
    response.end(fresh ? undefined : '{}')
  })
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url, rewriteLinks: true }] })
  const tag = /\r\nETag: ([^\r]+)/.exec((await raw(t, port, get('/'))).head)?.[1] ?? ''
  assert.equal(tag, 'W/"v1"')
  const again = await raw(t, port, get('/', `If-None-Match: ${tag}\r\n`))
  assert.equal(again.status, 304)
  assert.match(again.head, /\r\nETag: W\/"v1"/)
  assert.equal(upstream.seen[1]?.headers['if-none-match'], tag)
})
