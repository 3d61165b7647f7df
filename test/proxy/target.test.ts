import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { AllowedPaths } from '../../src/proxy/allowed-paths.ts'
import { absoluteTarget, checkPath } from '../../src/proxy/target.ts'
import { code, dial, get, host, raw, startProxy, startUpstream, type RouteSettings } from './harness.ts'

async function proxyTo(t: test.TestContext, route: Partial<RouteSettings> = {}, base = '') {
  const upstream = await startUpstream(t)
  const started = await startProxy(t, { routes: [{ upstream: upstream.url + base, ...route }] })
  return { upstream, port: started.port, records: started.records }
}

for (const target of [
  '/api/../x',
  '/api/%2e%2e/x',
  '/api/.%2e/x',
  '/api/%2E./x',
  '/api/..%2fx',
  '/api/%2f..',
  '/api/..%5cx',
  '/api\\..\\x',
  '/api/..;/x',
  '/api/..;a=b/x',
  '/a/%2e%2e%2fx',
  '/api/..',
  '/api/..?q',
  '/\\evil',
  '/api/%2e%2e%3b/x',
  '/api/..%00/x',
  '/api/%c0%ae%c0%ae/x',
  '/api/..%c0%afx',
  '/api/%u002e%u002e/x',
  '/api/..%20/x',
  '/api/%ef%bc%8e%ef%bc%8e/x',
  '/api/x#/y',
  '/api/..%09/x',
]) {
  test(`C1: ${target} is refused and nothing is sent`, async (t) => {
    const { upstream, port } = await proxyTo(t, { path: '/api/' })
    const answer = await raw(t, port, get(target))
    assert.equal(answer.status, 400)
    assert.equal(code(answer), 'bad_request')
    assert.equal(upstream.seen.length, 0)
  })
}

for (const target of [
  '/api/%252e%252e/x',
  '/api/a%2Fb',
  '/api//b',
  '/api/a;b=c',
  '/api/x?q=%zz&r=../..',
  '/api/.../b',
  '/api/./b',
  '/api/"<>"',
  '/api/{a}|^`',
  '/api/%zz',
  '/api/..a/b',
  '/api/a../b',
  '/api/?\\..\\',
  '/api/%2e',
  '/api/a%5cb',
  '/api/@evil/',
  '/api/:80',
  `/api/${'x'.repeat(8000)}`,
  '/api/%00',
]) {
  test(`C8: ${target.slice(0, 40)} reaches the upstream byte for byte`, async (t) => {
    const { upstream, port } = await proxyTo(t, { path: '/api/' }, '/v1/')
    const answer = await raw(t, port, get(target))
    assert.equal(answer.status, 200, answer.head)
    assert.equal(upstream.seen[0]?.target, target.replace('/api/', '/v1/'))
  })
}

test('C2: no spelling of a target leads to another origin', async (t) => {
  const { upstream, port } = await proxyTo(t)
  for (const [target, status] of [
    ['//evil/x', 200],
    ['/@evil/', 200],
    ['http://evil/x', 403],
    ['http://localhost@evil/', 400],
    ['http://evil@localhost/', 400],
    ['https://localhost/', 400],
    ['evil:80', 400],
    ['evil', 400],
  ] as const) {
    assert.equal((await raw(t, port, get(target))).status, status, target)
  }
  assert.deepEqual(
    upstream.seen.map((seen) => [seen.target, seen.headers.host]),
    [
      ['//evil/x', upstream.host],
      ['/@evil/', upstream.host],
    ],
  )
})

test('an absolute target of an allowed authority is taken as its path (RFC 9112 section 3.2.2)', async (t) => {
  const { upstream, port } = await proxyTo(t)
  assert.equal((await raw(t, port, get(`http://LOCALHOST:${port}/a//b?c`))).status, 200)
  assert.equal((await raw(t, port, get('http://127.0.0.1?x=1'))).status, 200)
  assert.equal((await raw(t, port, `GET http://localhost/x HTTP/1.1\r\nHost: evil\r\n\r\n`)).status, 403)
  assert.equal((await raw(t, port, get('http://localhost/../x'))).status, 400)
  assert.deepEqual(
    upstream.seen.map(({ target }) => target),
    ['/a//b?c', '/?x=1'],
  )
})

test('C3: the asterisk asks about no route and is refused', async (t) => {
  const { upstream, port } = await proxyTo(t)
  assert.equal((await raw(t, port, `OPTIONS * HTTP/1.1\r\n${host}\r\n`)).status, 400)
  assert.equal((await raw(t, port, get('*'))).status, 400)
  assert.equal(upstream.seen.length, 0)
})

test('C4: CONNECT, TRACE and TRACK are answered 405', async (t) => {
  const { upstream, port } = await proxyTo(t)
  for (const line of ['CONNECT evil:443', 'TRACE /', 'TRACK /']) {
    const answer = await raw(t, port, `${line} HTTP/1.1\r\n${host}\r\n`)
    assert.equal(answer.status, 405, line)
    assert.equal(code(answer), 'method_not_allowed')
    assert.match(answer.head, /\r\nAllow: .*GET/)
  }
  assert.equal(upstream.seen.length, 0)
})

test('methods of WebDAV and others pass, as long as a parser knows them', async (t) => {
  const { upstream, port } = await proxyTo(t)
  for (const method of ['PROPFIND', 'QUERY', 'REPORT', 'PATCH', 'DELETE', 'OPTIONS', 'M-SEARCH']) {
    assert.equal((await raw(t, port, `${method} /x HTTP/1.1\r\n${host}\r\n`)).status, 200, method)
  }
  assert.deepEqual(
    upstream.seen.map(({ method }) => method),
    ['PROPFIND', 'QUERY', 'REPORT', 'PATCH', 'DELETE', 'OPTIONS', 'M-SEARCH'],
  )
})

test('C5: a WebSocket on a route without websocket is answered 426', async (t) => {
  const { upstream, port } = await proxyTo(t)
  const answer = await raw(
    t,
    port,
    get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n'),
  )
  assert.equal(answer.status, 426)
  assert.equal(code(answer), 'upgrade_not_allowed')
  assert.match(answer.head, /^Upgrade: websocket$/m)
  assert.match(answer.head, /^Connection: Upgrade$/m)
  assert.equal(upstream.seen.length, 0)
})

test('a 426 that ends its connection says so beside the Upgrade (RFC 9110 section 7.8)', async (t) => {
  const { port } = await proxyTo(t)
  const caller = dial(t, port).write(get('/', 'Connection: upgrade, close\r\nUpgrade: websocket\r\n'))
  assert.match((await caller.answer()).head, /^Connection: Upgrade, close$/m)
  assert.equal(await caller.untilClosed(), '')
})

test('the path of a record holds nothing of the authority of an absolute target, nor the query (F2)', async (t) => {
  const { port, records } = await proxyTo(t)
  const requests = [
    'http://u:PASSWORD@localhost/a?SECRET',
    'http://u:PASSWORD@localhost',
    'http://u:PASSWORD@localhost?SECRET/x',
    'HTTPS://PASSWORD/b',
    'http://localhost/c',
    '*',
    '//d?e',
  ]
  for (const target of requests) await raw(t, port, get(target))
  assert.deepEqual(
    records.map(({ path }) => path),
    ['/a', '/', '/', '/b', '/c', '*', '//d'],
  )
})

for (const [path, base, target, expected] of [
  ['/', '/v1', '/x', '/v1/x'],
  ['/', '/v1/', '/', '/v1/'],
  ['/', '', '/?q', '/?q'],
  ['/sky/', '/base/', '/sky/', '/base/'],
  ['/sky/', '/base', '/sky/x/y?z', '/base/x/y?z'],
  ['/sky', '/base', '/sky', '/base'],
  ['/sky', '/base', '/sky?q=1', '/base?q=1'],
  ['/sky', '/base/', '/sky/x', '/base/x'],
  ['/sky', '', '/sky//x', '//x'],
  ['/sky', '', '/sky', '/'],
] as const) {
  test(`C7: with path ${path} and upstream path ${base || 'none'}, ${target} goes out as ${expected}`, async (t) => {
    const { upstream, port } = await proxyTo(t, { path }, base)
    assert.equal((await raw(t, port, get(target))).status, 200)
    assert.equal(upstream.seen[0]?.target, expected)
  })
}

test('the longest prefix wins, and a prefix ends at the end of a segment', async (t) => {
  const [a, b] = [await startUpstream(t), await startUpstream(t)]
  const { port } = await startProxy(t, {
    routes: [
      { path: '/x', upstream: a.url },
      { path: '/x/y/', upstream: b.url },
    ],
  })
  assert.equal((await raw(t, port, get('/x/y/z'))).status, 200)
  assert.equal((await raw(t, port, get('/x/yy'))).status, 200)
  const none = await raw(t, port, get('/xx'))
  assert.equal(none.status, 404)
  assert.equal(code(none), 'route_not_found')
  assert.deepEqual([a.seen[0]?.target, b.seen[0]?.target], ['/yy', '/z'])
})

test('a 405 lists what the route forwards', async (t) => {
  const { port } = await proxyTo(t, { allowMethods: ['GET', 'POST'] })
  const refused = await raw(t, port, `DELETE / HTTP/1.1\r\n${host}\r\n`)
  assert.equal(refused.status, 405)
  assert.match(refused.head, /^Allow: GET, POST$/im)
})

test('allowMethods and allowPaths refuse what they do not list, in any encoding', async (t) => {
  const { upstream, port } = await proxyTo(t, { allowMethods: ['GET'], allowPaths: ['/public/*', '/v?/**'] })
  for (const [line, status] of [
    ['GET /public/a', 200],
    ['GET /public/.hidden?x=/', 200],
    ['GET /v2/a/b', 200],
    ['POST /public/a', 405],
    ['GET /private', 403],
    ['GET /public/a%2fb', 403],
    ['GET /public/a/b', 403],
    ['GET /%70ublic/a', 403],
    ['GET /public/a%5cb', 403],
    ['GET /public/a%5Cb', 403],
    ['GET /public/a%c0%afb', 403],
    ['GET /public/.', 403],
    ['GET /v2/a%5cb', 200],
  ] as const) {
    assert.equal((await raw(t, port, `${line} HTTP/1.1\r\n${host}\r\n`)).status, status, line)
  }
  assert.equal(upstream.seen.length, 4)
})

for (const [glob, allowed, refused] of [
  ['/café/*', ['/caf%C3%A9/1', '/caf%c3%a9/1'], ['/cafe/1', '/caf%E9/1', '/caf%C3%A9/1%2f2']],
  ['/caf%C3%A9/*', ['/caf%C3%A9/1', '/caf%c3%a9/1'], ['/cafe/1', '/caf%E9/1']],
  ['/a b/*', ['/a%20b/1'], ['/a+b/1', '/a%2520b/1', '/ab/1']],
  ['/a%20b/*', ['/a%20b/1'], ['/a+b/1', '/a%2520b/1', '/ab/1']],
  ['/p/g%2Fq/*', ['/p/g%2Fq/1', '/p/g%2fq/1'], ['/p/g/q/1', '/p/g%5Cq/1', '/p/g%252Fq/1', '/p/g%2Fq/1%2F2']],
  ['/x%2A/*', ['/x%2A/1'], ['/xy/1', '/x*/1', '/x%2Ay/1']],
  ['/x%/*', ['/x%/1'], ['/x/1', '/x%25/1']],
  ['/x/*/y', ['/x/1/y', '/x/%31/y'], ['/x/./y', '/x/%2e/y', '/x//y', '/x/1%2f2/y', '/x/1/2/y']],
  ['/x/**', ['/x/1%2f2', '/x/1%5c2', '/x//1', '/x/'], ['/y/x/1', '/x%2f1', '/%2fx/1', '/x/./1']],
  ['/{a,b}/[0-9]', ['/a/1', '/b/2'], ['/c/1', '/a/x', '/a%2f1']],
  ['!/e/**', [], ['/e/1', '/f', '/']],
] as const) {
  test(`allowPaths: ${glob} allows what it says in either spelling, and nothing beside`, () => {
    const paths = new AllowedPaths([glob])
    for (const path of allowed) assert.equal(paths.allow(path), true, path)
    for (const path of refused) assert.equal(paths.allow(path), false, path)
  })
}

test('property: a path that passes stays inside its prefix for every way of reading it', () => {
  const piece = fc.constantFrom(
    '.',
    '..',
    '%2e',
    '%2E',
    '/',
    '%2f',
    '%5c',
    '\\',
    ';',
    'a',
    '%25',
    '2e',
    '%00',
    '%c0%ae',
    '?',
    '#',
    '%3b',
    '...',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const path = `/p/${pieces.filter((text) => text !== '?').join('')}`
      try {
        checkPath(path)
      } catch {
        return
      }
      // As lenient as a server can be: decode once, backslashes are slashes, parameters are cut off.
      const lenient = decodeOnce(path)
        .replaceAll('\\', '/')
        .split('/')
        .map((segment) => segment.replace(/[;\0].*$/, ''))
      const { pathname } = new URL(
        lenient
          .filter((_, index) => index > 0)
          .join('/')
          .replace(/^/, '/')
          .replaceAll('?', 'q')
          .replaceAll('#', 'h'),
        'http://h',
      )
      assert.ok(pathname.startsWith('/p/') || pathname === '/p', `${path} -> ${pathname}`)
    }),
    { numRuns: 3000 },
  )
})

function decodeOnce(text: string): string {
  return text.replace(/%c0%ae/gi, '.').replace(/%([\da-f]{2})/gi, (_, hex: string) => {
    const byte = Number.parseInt(hex, 16)
    // A decoded percent sign must not become part of another escape.
    return byte === 0x25 ? 'P' : String.fromCharCode(byte)
  })
}

test('property: a plain path of visible characters without dots, backslash and # always passes', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^\/[!$&'()*+,:;<=>@A-Z[\]^_`a-z{|}~/0-9"-]{0,40}$/), (path) => {
      checkPath(path)
      assert.equal(absoluteTarget(path), undefined)
    }),
  )
})
