import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as certs from '../helpers/certs.ts'
import { answering, call, closed, ok, open, rawServer, start, type RawServer } from './support.ts'

/** Answers the first request of each connection; `then` plays the upstream at the second. */
function serving(
  t: Parameters<typeof rawServer>[0],
  then: (server: RawServer, connection: number) => void,
  secure = false,
) {
  const server = rawServer(
    t,
    (socket, connection) => {
      let requests = 0
      socket.on('data', () => {
        if (requests++ === 0) socket.write(ok)
        else void server.then((it) => then(it, connection))
      })
    },
    secure ? certs.localhost : undefined,
  )
  return server
}

suite('connections', () => {
  test('are used again, the one used last first', async (t) => {
    const server = await answering(t, ok)
    const upstream = open(t, server.origin)
    await Promise.all([call(upstream), call(upstream), call(upstream)])
    assert.equal(server.sockets.length, 3)
    for (const target of ['/a', '/b', '/c']) await call(upstream, { target })
    assert.equal(server.sockets.length, 3)
    const busy = server.received.filter((bytes) => bytes.includes('GET /'))
    assert.equal(busy.filter((bytes) => /\/a [^]*\/b [^]*\/c /.test(bytes.toString())).length, 1, 'all three on one')
  })

  test('never carry a request before the answer to the last one is over', async (t) => {
    const server = await rawServer(t, () => undefined)
    const upstream = open(t, server.origin)
    const first = start(upstream)
    const second = start(upstream)
    while (server.received.filter((bytes) => bytes.length > 0).length < 2) await new Promise(setImmediate)
    for (const socket of server.sockets) socket.write(ok)
    await Promise.all([first.done, second.done])
    assert.deepEqual(
      server.received.map((bytes) => bytes.toString().match(/GET/g)?.length),
      [1, 1],
    )
  })

  for (const [story, answer] of [
    ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'],
    [
      'Keep-Alive: timeout=1, which is too short to be safe',
      'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok',
    ],
    ['bytes behind the end of the answer (B7)', `${ok}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
    ['a body after the answer to a HEAD (B10)', ok, 'HEAD'],
    ['a body after 204 (B10)', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok'],
  ]) {
    test(`are not used again after ${story}`, async (t) => {
      const server = await answering(t, answer!)
      const upstream = open(t, server.origin)
      for (const round of [1, 2]) {
        const { error, head, body } = await call(upstream, { method: answer === ok ? 'HEAD' : 'GET' })
        assert.equal(error, undefined)
        assert.equal(body.toString(), head?.hasBody === true ? 'ok' : '')
        assert.equal(server.sockets.length, round)
      }
    })
  }

  test('that speak unasked are closed, and what they said answers nobody (B7)', async (t) => {
    const server = await answering(t, ok)
    const upstream = open(t, server.origin)
    await call(upstream)
    server.sockets[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
    await closed(server)
    assert.equal((await call(upstream)).body.toString(), 'ok')
    assert.equal(server.sockets.length, 2)
  })

  test('are given up a second before the limit that the upstream names', async (t) => {
    const server = await answering(
      t,
      'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2, max=100\r\nContent-Length: 2\r\n\r\nok',
    )
    const upstream = open(t, server.origin)
    await call(upstream)
    const from = performance.now()
    await closed(server)
    const kept = performance.now() - from
    assert.ok(kept > 900 && kept < 5000, `kept for ${kept} ms`)
  })

  test('that wait are at most 256', async (t) => {
    const server = await rawServer(t, () => undefined)
    const upstream = open(t, server.origin)
    const running = Array.from({ length: 300 }, () => start(upstream).done)
    while (server.received.filter((bytes) => bytes.length > 0).length < 300) await new Promise(setImmediate)
    for (const socket of server.sockets) socket.write(ok)
    await Promise.all(running)
    while (server.sockets.filter((socket) => socket.destroyed).length < 44) await new Promise(setImmediate)
    assert.equal(server.sockets.filter((socket) => !socket.destroyed).length, 256)
  })

  test('are all gone after close(), which waits for the exchange that runs', async (t) => {
    const server = await rawServer(t, (socket) =>
      socket.on('data', (chunk) => (chunk.includes('/slow') ? null : socket.write(ok))),
    )
    const upstream = open(t, server.origin)
    await Promise.all([call(upstream), call(upstream)])
    const slow = start(upstream, { target: '/slow' })
    while (!server.received.some((bytes) => bytes.includes('/slow'))) await new Promise(setImmediate)
    let over = false
    const closing = upstream.close().then(() => (over = true))
    const used = server.received.findIndex((bytes) => bytes.includes('/slow'))
    await closed(server, 1 - used)
    assert.equal(over, false)
    server.sockets[used]!.write(ok)
    assert.equal((await slow.done).body.toString(), 'ok')
    await closing
    const late = await call(upstream)
    assert.equal(late.error?.fault, 'unreachable')
    assert.equal(server.sockets.length, 2)
  })
})

for (const secure of [false, true]) {
  suite(`an idle ${secure ? 'TLS' : 'TCP'} connection that dies as the request leaves (G6)`, () => {
    const deaths = {
      FIN: (server: RawServer, at: number) => server.sockets[at]!.end(),
      RST: (server: RawServer, at: number) => server.tcpSockets[at]!.resetAndDestroy(),
    }

    for (const [death, die] of Object.entries(deaths)) {
      for (const [method, body] of [
        ['GET', undefined],
        ['HEAD', undefined],
        ['OPTIONS', undefined],
        ['DELETE', undefined],
        ['PUT', Buffer.alloc(0)],
      ] as const) {
        test(`by ${death}: ${method} without a body goes out once more, on a new connection`, async (t) => {
          const server = await serving(t, die, secure)
          const upstream = open(t, server.origin)
          await Promise.all([call(upstream), call(upstream)])
          const { error, head } = await call(upstream, { method, body })
          assert.deepEqual([error, head?.status], [undefined, 200])
          assert.equal(server.sockets.length, 3, 'not on the other idle connection, which may be dead too')
        })
      }

      for (const [method, body] of [
        ['POST', undefined],
        ['POST', Buffer.from('x')],
        ['PUT', Buffer.from('x')],
        ['PATCH', undefined],
        ['GET', Buffer.from('x')],
        ['GET', { length: undefined }],
        ['PROPFIND', undefined],
      ] as const) {
        test(`by ${death}: ${method} ${body === undefined ? 'without' : 'with'} a body is never sent twice`, async (t) => {
          const server = await serving(t, die, secure)
          const upstream = open(t, server.origin)
          await call(upstream)
          const running = start(upstream, { method, body })
          running.exchange.end()
          await running.done
          assert.deepEqual([running.error?.fault, running.events], ['unreachable', ['error']])
          assert.equal(server.sockets.length, 1)
        })
      }
    }

    test('gets one second try, not two', async (t) => {
      const server = await rawServer(
        t,
        (socket, connection) => {
          let requests = 0
          socket.on('data', () => {
            if (connection === 0 && requests++ === 0) socket.write(ok)
            else socket.end()
          })
        },
        secure ? certs.localhost : undefined,
      )
      const upstream = open(t, server.origin)
      await call(upstream)
      assert.equal((await call(upstream)).error?.fault, 'unreachable')
      assert.equal(server.sockets.length, 2)
    })

    for (const [death, fault] of [
      ['FIN', 'protocol'],
      ['RST', 'unreachable'],
    ] as const) {
      test(`by ${death}: gets none once a byte of an answer has come`, async (t) => {
        const server = await serving(t, (it, at) => it.sockets[at]!.write('H'), secure)
        const upstream = open(t, server.origin)
        await call(upstream)
        const running = start(upstream)
        while (server.received[0]!.toString().split('GET').length < 3) await new Promise(setImmediate)
        await new Promise((resolve) => setTimeout(resolve, 30))
        deaths[death](server, 0)
        await running.done
        assert.equal(running.error?.fault, fault)
        assert.equal(server.sockets.length, 1)
      })
    }
  })
}

test('a connection that was never used before is not tried again', async (t) => {
  const server = await rawServer(t, (socket) => socket.once('data', () => socket.end()))
  assert.equal((await call(open(t, server.origin))).error?.fault, 'unreachable')
  assert.equal(server.sockets.length, 1)
})

test('a reused connection that only stays silent is not tried again', async (t) => {
  const server = await serving(t, () => undefined)
  const upstream = open(t, server.origin, { headersTimeout: 60 })
  await call(upstream)
  assert.equal((await call(upstream)).error?.fault, 'timeout')
  assert.equal(server.sockets.length, 1)
})

test('a second try that is aborted does not happen', async (t) => {
  const server = await serving(t, (it, at) => it.sockets[at]!.end())
  const upstream = open(t, server.origin)
  await call(upstream)
  const running = start(upstream)
  await closed(server)
  running.exchange.abort()
  await upstream.close()
  assert.deepEqual(running.events, [])
})
