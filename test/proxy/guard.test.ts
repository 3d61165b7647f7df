import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { tempDir } from '../helpers/temp-dir.ts'
import { code, get, raw, startProxy, startUpstream } from './harness.ts'

for (const name of [
  'evil.example',
  'localhost.evil.example',
  'localhost@evil',
  '127.0.0.2',
  '',
  'localhost:80:80',
  '[::2]',
]) {
  test(`E1: Host: ${name || '(empty)'} is refused before a token is asked for`, async (t) => {
    const upstream = await startUpstream(t)
    const { port, sources } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    const answer = await raw(t, port, `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`)
    assert.equal(answer.status, 403)
    assert.equal(code(answer), 'host_not_allowed')
    assert.deepEqual(sources['sky']?.asked, [])
    assert.equal(upstream.seen.length, 0)
  })
}

test('E1: loopback names, the bound address and listed hosts are accepted, whatever the port says', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { allowedHosts: ['Sidecar.Local'] },
  })
  for (const name of ['localhost', 'LOCALHOST:1', '127.0.0.1:65535', '[::1]:9', 'sidecar.local', 'SIDECAR.local:80']) {
    assert.equal((await raw(t, port, `GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`)).status, 200, name)
  }
})

for (const headers of [
  'Origin: https://evil.example\r\n',
  'Origin: null\r\n',
  'Origin: http://localhost:1\r\nSec-Fetch-Site: same-origin\r\n',
  'Sec-Fetch-Site: cross-site\r\n',
  'Sec-Fetch-Site: same-site\r\n',
  'Sec-Fetch-Site: none, cross-site\r\n',
  'Origin: https://app.example\r\nOrigin: https://evil.example\r\n',
]) {
  test(`E2: a page's request is refused: ${JSON.stringify(headers)}`, async (t) => {
    const upstream = await startUpstream(t)
    const { port, sources } = await startProxy(t, {
      routes: [{ upstream: upstream.url }],
      proxy: { allowedOrigins: ['https://app.example'] },
    })
    const form = await raw(
      t,
      port,
      `POST / HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Type: text/plain\r\nContent-Length: 3\r\n\r\na=b`,
    )
    assert.equal(form.status, 403)
    assert.equal(code(form), 'origin_not_allowed')
    assert.ok(!/access-control/i.test(form.head))
    assert.equal(upstream.seen.length, 0)
    assert.deepEqual(sources['sky']?.asked, [])
  })
}

test('E2: what a person types into the address bar, and programs without a browser, are served', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  assert.equal((await raw(t, port, get('/', 'Sec-Fetch-Site: none\r\n'))).status, 200)
  assert.equal((await raw(t, port, get('/'))).status, 200)
})

test('E3: a preflight is refused without any Access-Control field', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const answer = await raw(
    t,
    port,
    'OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n\r\n',
  )
  assert.equal(answer.status, 403)
  assert.ok(!/access-control/i.test(answer.head))
  assert.equal(upstream.seen.length, 0)
})

test("E3: the upstream's CORS headers reach listed origins only", async (t) => {
  const upstream = await startUpstream(t, (_, response) =>
    response
      .writeHead(200, { 'Access-Control-Allow-Origin': '*', 'ACCESS-CONTROL-EXPOSE-HEADERS': 'x', Vary: 'Origin' })
      .end(),
  )
  const { port } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { allowedOrigins: ['https://app.example'] },
  })
  const without = await raw(t, port, get('/'))
  assert.ok(!/access-control/i.test(without.head))
  assert.match(without.head, /Vary: Origin/)
  const listed = await raw(t, port, get('/', 'Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n'))
  assert.equal(listed.status, 200)
  assert.match(listed.head, /Access-Control-Allow-Origin: \*/)
  assert.match(listed.head, /ACCESS-CONTROL-EXPOSE-HEADERS: x/)
})

test('E4, E5: with a caller secret, only who sends it is served, and it goes no further', async (t) => {
  const upstream = await startUpstream(t)
  const { port, sources } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { callerSecret: 'pässword' },
  })
  const given = Buffer.from('pässword').toString('latin1')
  for (const headers of [
    '',
    'Bearer-Sidecar-Secret: wrong\r\n',
    'Bearer-Sidecar-Secret:\r\n',
    `Bearer-Sidecar-Secret: ${given}x\r\n`,
  ]) {
    const answer = await raw(t, port, get('/', headers))
    assert.equal(answer.status, 403)
    assert.equal(code(answer), 'caller_secret_required')
    assert.ok(!answer.body.includes('password') && !answer.body.includes(given))
  }
  assert.deepEqual(sources['sky']?.asked, [])
  const served = await raw(t, port, get('/', `Bearer-Sidecar-Secret: ${given}\r\nBearer_Sidecar_Secret: x\r\n`))
  assert.equal(served.status, 200)
  assert.ok(!upstream.seen[0]?.rawHeaders.some((item) => /sidecar/i.test(item)))
})

test('E4: a unix socket is for its owner alone and takes any Host that no page can have, or none', async (t) => {
  const upstream = await startUpstream(t)
  const path = join(tempDir(t), 'proxy.sock')
  await startProxy(t, { routes: [{ upstream: upstream.url }], proxy: { listen: `unix:${path}` } })
  assert.equal(statSync(path).mode & 0o777, 0o600)
  for (const [name, status] of [
    ['localhost', 200],
    ['', 200],
    ['unix', 200],
    ['Docker:80', 200],
    ['evil.example', 403],
    ['evil.', 403],
    ['a@unix', 403],
    ['[::2]', 403],
    ['127.0.0.2', 403],
  ] as const) {
    const got = await new Promise<number | undefined>((resolve, reject) => {
      httpRequest({ socketPath: path, path: '/', headers: { Host: name } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    assert.equal(got, status, name)
  }
})

test('E1: what names a unix socket names no TCP listener', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  assert.equal(code(await raw(t, port, 'GET / HTTP/1.1\r\nHost: unix\r\n\r\n')), 'host_not_allowed')
  assert.equal(upstream.seen.length, 0)
})
