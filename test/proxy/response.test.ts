import assert from 'node:assert/strict'
import test from 'node:test'
import { problemCatalogue } from '../../src/errors.ts'
import * as certs from '../helpers/certs.ts'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { code, dial, get, host, raw, startProxy, startUpstream, startWireUpstream } from './harness.ts'

test('A6: what the upstream says about its connection ends here, the rest keeps order, spelling and repetition', async (t) => {
  const upstream = await startWireUpstream(t, (socket) =>
    socket.write(
      Buffer.from(
        'HTTP/1.1 299 Odd One\r\nX-B: 1\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nx-hop: secret\r\nProxy-Authenticate: Basic\r\n' +
          'Upgrade: h2\r\nTrailer: X\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nServer: them\r\nx-b: caf\xe9\r\nContent-Length: 2\r\n\r\nok',
        'latin1',
      ),
    ),
  )
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const { head } = await raw(t, port, get('/'))
  const lines = head.split('\r\n').filter((line) => !/^(connection|keep-alive):/i.test(line))
  assert.deepEqual(lines, [
    'HTTP/1.1 299 Odd One',
    'X-B: 1',
    'Set-Cookie: a=1',
    'set-cookie: b=2',
    'Server: them',
    'x-b: caf\xe9',
    'Content-Length: 2',
  ])
})

test('no Date, Server or Via is made up', async (t) => {
  const upstream = await startWireUpstream(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const { head } = await raw(t, port, get('/'))
  assert.ok(!/^(date|server|via):/im.test(head), head)
})

test('F1: a redirect is passed on, never followed', async (t) => {
  const elsewhere = await startUpstream(t)
  const upstream = await startUpstream(t, (_, response) =>
    response.writeHead(307, { Location: `${elsewhere.url}/steal` }).end(),
  )
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const answer = await raw(t, port, get('/'))
  assert.equal(answer.status, 307)
  assert.match(answer.head, new RegExp(`Location: ${elsewhere.url}/steal`))
  assert.equal(elsewhere.seen.length, 0)
})

test('F3: an answer of our own is problem+json with code, request id and next step, and names no address', async (t) => {
  const { port, nextRecord } = await startProxy(t, { routes: [{ upstream: 'http://127.0.0.1:1/secret-path' }] })
  const record = nextRecord()
  const answer = await raw(t, port, get('/?token=abc'))
  assert.equal(answer.status, 502)
  assert.match(answer.head, /Content-Type: application\/problem\+json/)
  assert.match(answer.head, /Cache-Control: no-store/)
  assert.equal(code(answer), 'upstream_unreachable')
  assert.deepEqual(JSON.parse(answer.body), {
    type: 'urn:bearer-sidecar:error:upstream_unreachable',
    title: 'Upstream unreachable',
    status: 502,
    detail: problemCatalogue.upstream_unreachable.hint,
    code: 'upstream_unreachable',
    requestId: 'id-1',
  })
  assert.ok(!/127\.0\.0\.1|ECONN|secret-path|abc|sky-1/.test(answer.head + answer.body))
  const { error, path, requestId } = await record
  assert.equal(path, '/')
  assert.equal(requestId, 'id-1')
  assert.match(String((error?.cause as Error | undefined)?.message), /./)
})

test('the upstream certificate is always verified: a wrong name and an unknown signer are 502', async (t) => {
  for (const pair of [certs.wrongName, certs.selfSigned]) {
    let served = 0
    const server = createServer(pair, (_, response) => {
      served++
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = await startProxy(t, {
      routes: [{ upstream: `https://localhost:${(server.address() as AddressInfo).port}` }],
      ca: certs.ca,
    })
    const answer = await raw(t, port, get('/'))
    assert.equal(answer.status, 502)
    assert.equal(code(answer), 'upstream_tls_error')
    assert.equal(served, 0)
  }
})

test('a TLS upstream with a known signer is served', async (t) => {
  const server = createServer(certs.localhost, (request, response) => response.end(request.headers.authorization))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { url } = await startProxy(t, {
    routes: [{ upstream: `https://localhost:${(server.address() as AddressInfo).port}` }],
    ca: certs.ca,
  })
  assert.equal(await (await fetch(url)).text(), 'Bearer sky-1')
  server.closeAllConnections()
})

test('an answer of our own to a HEAD has no body and the connection goes on', async (t) => {
  const upstream = await startUpstream(t)
  const { port } = await startProxy(t, { routes: [{ upstream: upstream.url, path: '/x/' }] })
  const caller = dial(t, port).write(`HEAD / HTTP/1.1\r\n${host}\r\n${get('/x/')}`)
  const text = await caller.until((received) => received.includes('{"ok":true}'))
  assert.match(text, /^HTTP\/1\.1 404 [^]*\r\n\r\nHTTP\/1\.1 200 /)
})

test('503 and 500 of the upstream pass after a single try', async (t) => {
  for (const status of [500, 503, 429, 403]) {
    const upstream = await startUpstream(t, (_, response) =>
      response.writeHead(status, { 'Retry-After': '2' }).end('no'),
    )
    const { port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
    assert.equal((await raw(t, port, get('/'))).status, status)
    assert.equal(upstream.seen.length, 1)
  }
})
