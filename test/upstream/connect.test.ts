import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { suite, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as certs from '../helpers/certs.ts'
import { call, ok, open, rawServer, start } from './support.ts'

const answer = (socket: net.Socket) => socket.on('data', () => socket.write(ok))

function secured(socket: net.Socket): TLSSocket {
  assert.ok(socket instanceof TLSSocket)
  return socket
}

async function refusedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

suite('an upstream that cannot be reached', () => {
  for (const origin of ['http://127.0.0.1', 'https://127.0.0.1', 'http://localhost']) {
    test(`${origin} is unreachable when it refuses, and can be tried again at once`, async (t) => {
      const upstream = open(t, `${origin}:${await refusedPort()}`)
      for (const method of ['GET', 'POST']) assert.equal((await call(upstream, { method })).error?.fault, 'unreachable')
    })
  }

  test('is unreachable when its name does not exist', async (t) => {
    assert.equal((await call(open(t, 'https://nowhere.invalid'))).error?.fault, 'unreachable')
  })

  test('is used again once it is there: nothing of the failure stays', async (t) => {
    const port = await refusedPort()
    const upstream = open(t, `http://127.0.0.1:${port}`)
    assert.equal((await call(upstream)).error?.fault, 'unreachable')
    const server = net.createServer(answer).listen(port, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    assert.equal((await call(upstream)).body.toString(), 'ok')
  })

  test('as localhost is found on IPv4 although IPv6 comes first', async (t) => {
    for (const secure of [false, true]) {
      const server = await rawServer(t, answer, secure ? certs.localhost : undefined)
      const { error, body } = await call(open(t, server.origin.replace('127.0.0.1', 'localhost')))
      assert.deepEqual([error, body.toString()], [undefined, 'ok'])
    }
  })
})

suite('certificates', () => {
  for (const [story, server, ca] of [
    ['self-signed', certs.selfSigned, certs.ca],
    ['for another name', certs.wrongName, certs.ca],
    ['of an authority that was not given', certs.localhost, undefined],
    ['expected of nobody: plain HTTP on the TLS port', undefined, certs.ca],
  ] as const) {
    test(`that are ${story} are refused before a byte of the request leaves`, async (t) => {
      const upstreamServer = await rawServer(t, answer, server)
      const upstream = open(t, upstreamServer.origin.replace(/^https?/, 'https'), { tls: { ca } })
      for (let round = 0; round < 2; round++) {
        const { error } = await call(upstream)
        assert.equal(error?.fault, 'tls')
      }
      assert.ok(!Buffer.concat(upstreamServer.received).includes('GET'))
    })
  }

  test('cannot be waved through by NODE_TLS_REJECT_UNAUTHORIZED=0', async (t) => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    t.after(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    })
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    const server = await rawServer(t, answer, certs.selfSigned)
    assert.equal((await call(open(t, server.origin))).error?.fault, 'tls')
    assert.equal(server.received.length, 0)
  })

  test('of an authority of NODE_EXTRA_CA_CERTS are still trusted when another one was given', async (t) => {
    const server = await rawServer(t, answer, certs.localhost)
    const script = `
      const { openUpstream } = await import(${JSON.stringify(new URL('../../src/upstream/open.ts', import.meta.url).href)})
      const upstream = openUpstream({ origin: new URL('${server.origin}'), tls: { ca: process.env.OTHER_CA }, connectTimeout: 5000,
        headersTimeout: 5000, bodyTimeout: 5000, allowH2: false, egressProxy: undefined })
      const done = () => upstream.close()
      upstream.send({ method: 'GET', target: '/', headers: ['Host', 'a'], body: undefined }, {
        onHead: (head) => console.log(head.status), onData: () => true, onEnd: done, onDrain() {},
        onError: (error) => { console.log(error.fault); done() },
      })`
    const run = async (extra: object) => {
      const env = { PATH: process.env['PATH'], OTHER_CA: certs.selfSigned.cert, ...extra }
      return (await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })).stdout.trim()
    }
    const file = fileURLToPath(new URL('../helpers/certs/ca.cert.pem', import.meta.url))
    assert.deepEqual(await Promise.all([run({ NODE_EXTRA_CA_CERTS: file }), run({})]), ['200', 'tls'])
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`are looked at although a session could be resumed (${version})`, async (t) => {
      const server = await rawServer(t, answer, { ...certs.wrongName, minVersion: version, maxVersion: version })
      const upstream = open(t, server.origin)
      for (let round = 0; round < 3; round++) {
        assert.equal((await call(upstream)).error?.fault, 'tls')
        await new Promise(setImmediate)
      }
    })

    test(`are verified once, then the session is resumed (${version})`, async (t) => {
      const reused: boolean[] = []
      const server = await rawServer(
        t,
        (socket) => {
          reused.push(secured(socket).isSessionReused())
          socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'))
        },
        { ...certs.localhost, minVersion: version, maxVersion: version },
      )
      const upstream = open(t, server.origin)
      for (let round = 0; round < 3; round++) assert.equal((await call(upstream)).body.toString(), 'ok')
      assert.deepEqual(reused, [false, true, true])
    })
  }

  test('of our own are shown to an upstream that asks for one', async (t) => {
    const names: unknown[] = []
    const server = await rawServer(
      t,
      (socket) => {
        names.push(secured(socket).getPeerCertificate().subject.CN)
        answer(socket)
      },
      { ...certs.localhost, ca: certs.ca, requestCert: true, rejectUnauthorized: true },
    )
    assert.equal((await call(open(t, server.origin, { tls: { ca: certs.ca, ...certs.client } }))).body.toString(), 'ok')
    assert.deepEqual(names, ['bearer-sidecar test client'])
    assert.equal((await call(open(t, server.origin))).error?.fault, 'tls', 'without one the upstream says no')
  })

  test('that cannot be read are a TLS fault, not a crash', async (t) => {
    const server = await rawServer(t, answer, certs.localhost)
    const { error } = await call(open(t, server.origin, { tls: { cert: 'nonsense', key: 'nonsense' } }))
    assert.equal(error?.fault, 'tls')
  })

  test('are asked for by name, and by no name for an address', async (t) => {
    const names: (string | false)[] = []
    const server = await rawServer(
      t,
      (socket) => {
        names.push((secured(socket) as { servername?: string | false }).servername ?? '')
        answer(socket)
      },
      certs.localhost,
    )
    await call(open(t, server.origin))
    await call(open(t, server.origin.replace('127.0.0.1', 'localhost')))
    assert.deepEqual(names, [false, 'localhost'])
  })
})

suite('through an egress proxy', () => {
  /** Speaks CONNECT and joins the two sides; answers absolute-form requests itself. */
  function proxyServer(t: Parameters<typeof rawServer>[0], refuse: string | undefined, secure: boolean) {
    return rawServer(
      t,
      (socket) => {
        socket.once('data', (chunk: Buffer) => {
          const [, method, host, port] = /^(\S+) ([^:/ ]+):(\d*)/.exec(chunk.toString()) ?? []
          if (refuse !== undefined) {
            socket.write(refuse)
            return
          }
          if (method !== 'CONNECT') {
            socket.write(ok)
            socket.on('data', () => socket.write(ok))
            return
          }
          const origin = net.connect(Number(port), host)
          socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n')
          socket.pipe(origin).pipe(socket)
          origin.on('error', () => socket.destroy())
          socket.on('close', () => origin.destroy())
        })
      },
      secure ? certs.localhost : undefined,
    )
  }

  for (const secure of [false, true]) {
    test(`${secure ? 'over TLS' : 'in clear'}: a TLS origin gets a tunnel, and the proxy sees no credential but its own`, async (t) => {
      const server = await rawServer(t, answer, certs.localhost)
      const proxy = await proxyServer(t, undefined, secure)
      const egressProxy = new URL(proxy.origin.replace('//', '//us%40er:p%3A%w@'))
      const upstream = open(t, server.origin, { egressProxy })
      const headers = ['Host', 'api.example', 'Authorization', 'Bearer secret']
      for (let round = 0; round < 2; round++) {
        const { error, body } = await call(upstream, { headers })
        assert.deepEqual([error, body.toString()], [undefined, 'ok'])
      }
      assert.equal(proxy.sockets.length, 1)
      assert.match(server.received[0]!.toString(), /Bearer secret/)
      assert.doesNotMatch(server.received[0]!.toString(), /Proxy-Authorization/i)
      const seen = proxy.received[0]!.toString('latin1')
      assert.doesNotMatch(seen, /Bearer/)
      const credentials = Buffer.from('us@er:p%3A%w').toString('base64')
      const target = `127.0.0.1:${server.port}`
      assert.ok(
        seen.startsWith(
          `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
        ),
      )
    })
  }

  test('the certificate of the origin is still verified', async (t) => {
    const server = await rawServer(t, answer, certs.wrongName)
    const proxy = await proxyServer(t, undefined, false)
    const { error } = await call(open(t, server.origin, { egressProxy: new URL(proxy.origin) }))
    assert.equal(error?.fault, 'tls')
    assert.equal(server.received.length, 0)
  })

  test('a plain origin is asked for in absolute-form, with the proxy’s own credentials', async (t) => {
    const proxy = await proxyServer(t, undefined, false)
    const upstream = open(t, 'http://api.example', { egressProxy: new URL(proxy.origin.replace('//', '//u:p@')) })
    const { body } = await call(upstream, { target: '/a?b', headers: ['Host', 'api.example'] })
    assert.equal(body.toString(), 'ok')
    await call(upstream, { method: 'OPTIONS', target: '*', headers: ['Host', 'api.example'] })
    const credentials = 'Proxy-Authorization: Basic dTpw\r\nHost: api.example\r\n\r\n'
    assert.equal(
      proxy.received[0]!.toString(),
      `GET http://api.example/a?b HTTP/1.1\r\n${credentials}OPTIONS http://api.example HTTP/1.1\r\n${credentials}`,
    )
  })

  for (const [story, reply, fault] of [
    ['refuses', 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n', 'unreachable'],
    ['speaks no HTTP', '\x05\x00\x00\x00\x00\x00\x00\x00', 'protocol'],
    ['puts bytes before the handshake', 'HTTP/1.1 200 OK\r\n\r\n\x16', 'protocol'],
    ['says nothing', '', 'timeout'],
  ] as const) {
    test(`a proxy that ${story} gives "${fault}"`, async (t) => {
      const proxy = await proxyServer(t, reply, false)
      const options = { egressProxy: new URL(proxy.origin), connectTimeout: 200 }
      assert.equal((await call(open(t, 'https://127.0.0.1:9', options))).error?.fault, fault)
    })
  }

  test('an abort while the tunnel is dug closes it', async (t) => {
    const proxy = await proxyServer(t, '', false)
    const upstream = open(t, 'https://127.0.0.1:9', { egressProxy: new URL(proxy.origin) })
    const running = start(upstream)
    while (proxy.received[0]?.includes('CONNECT') !== true) await new Promise(setImmediate)
    running.exchange.abort()
    await once(proxy.sockets[0]!, 'close')
    assert.deepEqual(running.events, [])
  })
})
