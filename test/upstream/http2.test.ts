import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import type net from 'node:net'
import { suite, test } from 'node:test'
import * as certs from '../helpers/certs.ts'
import { ConnectError } from '../../src/upstream/upstream.ts'
import { call, ok, open, rawServer, start, type RawServer } from './support.ts'

type Ending = Parameters<typeof rawServer>[0]

interface Http2Server {
  readonly origin: string
  readonly sessions: http2.ServerHttp2Session[]
  readonly tcpSockets: net.Socket[]
  readonly headers: http2.IncomingHttpHeaders[]
}

/** An upstream that speaks nothing but HTTP/2. */
async function http2Server(
  t: Ending,
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, session: number) => void,
  settings: http2.Settings = {},
): Promise<Http2Server> {
  const sessions: http2.ServerHttp2Session[] = []
  const headers: http2.IncomingHttpHeaders[] = []
  const tcpSockets: net.Socket[] = []
  const server = http2.createSecureServer({ ...certs.localhost, allowHTTP1: false, settings, maxSessionMemory: 1000 })
  server.on('connection', (socket: net.Socket) => tcpSockets.push(socket))
  server.on('session', (session) => {
    const index = sessions.push(session) - 1
    session.on('error', () => undefined)
    session.on('stream', (stream, fields) => {
      stream.on('error', () => undefined)
      headers.push(fields)
      onStream(stream, fields, index)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { origin: `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`, sessions, tcpSockets, headers }
}

const h2 = (t: Ending, origin: string, options: Parameters<typeof open>[2] = {}) =>
  open(t, origin, { allowH2: true, ...options })

const respondOk = (stream: http2.ServerHttp2Stream) => {
  stream.respond({ ':status': 200, 'content-length': 2 })
  stream.end('ok')
}

suite('the protocol', () => {
  test('is HTTP/2 when the upstream has nothing else, on one connection for all', async (t) => {
    const server = await http2Server(t, respondOk)
    const upstream = h2(t, server.origin)
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(upstream)))
    answers.push(await call(upstream, { method: 'POST', body: Buffer.from('x') }))
    for (const { error, head, body } of answers)
      assert.deepEqual([error, head?.status, body.toString()], [undefined, 200, 'ok'])
    assert.equal(server.sessions.length, 1)
  })

  test('is not HTTP/2 when it was not allowed', async (t) => {
    const server = await http2Server(t, respondOk)
    assert.equal((await call(open(t, server.origin))).error?.fault, 'tls')
    assert.equal(server.sessions.length, 0)
  })

  test('is HTTP/1.1 when the upstream prefers it or knows no ALPN, and the first connection is used', async (t) => {
    for (const ALPNProtocols of [['http/1.1'], undefined]) {
      const server = await rawServer(
        t,
        (socket) => socket.on('data', (chunk) => /abc|GET/.test(chunk.toString()) && socket.write(ok)),
        {
          ...certs.localhost,
          ...(ALPNProtocols && { ALPNProtocols }),
        },
      )
      const upstream = h2(t, server.origin)
      const first = start(upstream, { method: 'POST', body: { length: 3 } })
      first.exchange.write(Buffer.from('abc'))
      first.exchange.end()
      await first.done
      assert.equal(first.body.toString(), 'ok')
      await call(upstream)
      assert.match(server.received[0]!.toString(), /^POST \/ HTTP\/1\.1\r\n[^]*abcGET \/ HTTP\/1\.1/)
      assert.equal(server.sockets.length, 1)
    }
  })

  test('is whatever an ordinary server with both chooses', async (t) => {
    const server = https.createServer(certs.localhost, (_request, response) => response.end('one'))
    server.listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const upstream = h2(t, `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
    assert.equal((await call(upstream)).body.toString(), 'one')
  })

  test('is chosen only after the certificate was verified', async (t) => {
    const server = await http2Server(t, respondOk)
    assert.equal((await call(h2(t, server.origin, { tls: {} }))).error?.fault, 'tls')
    assert.equal(server.headers.length, 0)
  })

  test('fails all who wait when the connection fails, and is tried again by the next', async (t) => {
    const server = await rawServer(t, (socket) => socket.destroy())
    const upstream = h2(t, server.origin.replace('http:', 'https:'))
    const answers = await Promise.all([call(upstream), call(upstream, { method: 'POST' })])
    assert.deepEqual(
      answers.map(({ error }) => error?.fault),
      ['unreachable', 'unreachable'],
    )
    assert.equal(server.sockets.length, 1)
    await call(upstream)
    assert.equal(server.sockets.length, 2)
  })
})

suite('an HTTP/2 exchange', () => {
  test('has Host as :authority, lower-case names, and no field of a connection', async (t) => {
    const server = await http2Server(t, (stream) => {
      stream.respond({ ':status': 207, 'x-multi': ['1', '2'], 'set-cookie': ['a', 'b'] }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ authorization: 'evil' }))
      stream.end('caf\xe9', 'latin1')
    })
    const headers = [
      'Host',
      'api.example',
      'X-Multi',
      '1',
      'X-Multi',
      '2',
      'Authorization',
      'Bearer t',
      'Keep-Alive',
      '5',
      'TE',
      'gzip',
      'X',
      '\xe9',
    ]
    const answer = await call(h2(t, server.origin), {
      method: 'PUT',
      target: '/a%2F?q="',
      headers,
      body: Buffer.from('x'),
    })
    assert.deepEqual(Object.fromEntries(Object.entries(server.headers[0]!)), {
      ':method': 'PUT',
      ':scheme': 'https',
      ':authority': 'api.example',
      ':path': '/a%2F?q="',
      'x-multi': '1, 2',
      authorization: 'Bearer t',
      x: '\xe9',
      'content-length': '1',
    })
    const { head } = answer
    assert.deepEqual([head?.status, head?.statusText, head?.length, head?.hasBody], [207, '', undefined, true])
    const pairs = head!.headers.filter((_, at) => !['date'].includes(head!.headers[at - (at % 2)]!))
    assert.deepEqual(pairs, ['x-multi', '1', 'x-multi', '2', 'set-cookie', 'a', 'set-cookie', 'b'])
    assert.equal(answer.body.toString('latin1'), 'caf\xe9')
  })

  test('without a body in the answer ends with its head', async (t) => {
    const server = await http2Server(t, (stream, headers) => {
      stream.respond(
        {
          ':status': Number(headers['x-status']),
          'content-length': Number(headers['x-status']) === 200 ? 7 : undefined!,
        },
        { endStream: true },
      )
    })
    const upstream = h2(t, server.origin)
    for (const [method, status, length, hasBody] of [
      ['HEAD', '200', undefined, false],
      ['GET', '204', undefined, false],
      ['GET', '304', undefined, false],
      ['GET', '201', 0, true],
    ] as const) {
      const { head, events } = await call(upstream, { method, headers: ['Host', 'a', 'X-Status', status] })
      assert.deepEqual([events, head?.length, head?.hasBody], [['head', 'end'], length, hasBody])
    }
  })

  test('leaves interim answers out', async (t) => {
    const server = await http2Server(t, (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '<a>' })
      stream.additionalHeaders({ ':status': 100 })
      respondOk(stream)
    })
    assert.deepEqual((await call(h2(t, server.origin))).events, ['head', 'data', 'end'])
  })

  test('is closed when interim answers never end', async (t) => {
    const server = await http2Server(t, (stream) => {
      for (let count = 0; count < 40; count++) stream.additionalHeaders({ ':status': 103 })
    })
    assert.equal((await call(h2(t, server.origin))).error?.fault, 'protocol')
  })

  test('carries a body in pieces, both ways, in order', async (t) => {
    const server = await http2Server(t, (stream) => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    })
    const upstream = h2(t, server.origin)
    const text = Buffer.from(Array.from({ length: 200_000 }, (_, at) => `${at};`).join(''))
    const running = start(upstream, { method: 'POST', body: { length: text.length } })
    running.reading = false
    let at = 0
    const fill = () => {
      while (at < text.length) {
        const piece = text.subarray(at, at + 10_000)
        at += piece.length
        if (!running.exchange.write(piece)) return
      }
      running.exchange.end()
    }
    running.onEvent = (event) => {
      if (event === 'drain') fill()
      if (event === 'data') setImmediate(() => running.exchange.resume())
    }
    fill()
    await running.done
    assert.ok(running.body.equals(text))
    assert.equal(server.headers[0]!['content-length'], String(text.length))
  })

  for (const [story, pieces] of [
    ['more', 'abcdef'],
    ['fewer', 'ab'],
  ] as const) {
    test(`is reset when the caller writes ${story} bytes than announced`, async (t) => {
      const server = await http2Server(t, () => undefined)
      const running = start(h2(t, server.origin), { method: 'POST', body: { length: 4 } })
      running.exchange.write(Buffer.from(pieces))
      running.exchange.end()
      assert.equal((await running.done).error?.fault, 'protocol')
    })
  }

  for (const length of [undefined, 50]) {
    test(`does not look whole to the upstream when it is given up in its middle (G4), length ${length}`, async (t) => {
      const ends: string[] = []
      const { promise: gone, resolve } = Promise.withResolvers<undefined>()
      const server = await http2Server(t, (stream) => {
        stream.resume()
        stream.on('end', () => stream.aborted || ends.push('end'))
        stream.on('aborted', () => ends.push('aborted'))
        stream.on('close', () => resolve(undefined))
        stream.once('data', () => running.exchange.abort())
      })
      const upstream = h2(t, server.origin)
      const running = start(upstream, { method: 'POST', body: { length } })
      running.exchange.write(Buffer.from('abc'))
      await gone
      assert.deepEqual(ends, ['aborted'])
      await upstream.close()
    })
  }

  test('delivers an early answer to an upload that nobody reads', async (t) => {
    const server = await http2Server(t, (stream) => {
      stream.respond({ ':status': 413 })
      stream.end('big')
    })
    const upstream = h2(t, server.origin)
    const running = start(upstream, { method: 'POST', body: { length: 50_000_000 } })
    const chunk = Buffer.alloc(1 << 20)
    running.exchange.write(chunk)
    await running.done
    assert.deepEqual([running.head?.status, running.body.toString(), running.error], [413, 'big', undefined])
    assert.equal(running.exchange.write(chunk), true)
    assert.equal((await call(upstream)).head?.status, 413)
    assert.equal(server.sessions.length, 1)
  })

  test('of a reader who pauses does not hold up the others', async (t) => {
    const server = await http2Server(t, (stream, headers) => {
      if (headers[':path'] === '/big') {
        stream.respond({ ':status': 200 })
        stream.end(Buffer.alloc(4_000_000))
      } else {
        respondOk(stream)
      }
    })
    const upstream = h2(t, server.origin, { bodyTimeout: 150 })
    const slow = Array.from({ length: 30 }, () => {
      const running = start(upstream, { target: '/big' })
      running.reading = false
      return running
    })
    await Promise.all(slow.map((running) => running.until('data')))
    await new Promise((resolve) => setTimeout(resolve, 400))
    for (let round = 0; round < 10; round++) assert.equal((await call(upstream)).body.toString(), 'ok')
    for (const running of slow) assert.deepEqual([running.error, running.body.length < 1_000_000], [undefined, true])
    for (const running of slow) running.exchange.abort()
  })

  for (const stage of ['connect', 'wait', 'data', 'upload'] as const) {
    test(`is reset by abort(), stage ${stage}, and the session goes on`, async (t) => {
      let reset: number | undefined
      const server = await http2Server(t, (stream, headers) => {
        if (headers[':path'] === '/ok') {
          respondOk(stream)
          return
        }
        stream.on('close', () => (reset = stream.rstCode))
        if (stage === 'data') {
          stream.respond({ ':status': 200 })
          stream.write('part')
        }
      })
      const upstream = h2(t, server.origin)
      const running = start(upstream, {
        target: '/abort',
        method: 'POST',
        body: stage === 'upload' ? { length: undefined } : undefined,
      })
      if (stage === 'data') await running.until('data')
      if (stage === 'upload') running.exchange.write(Buffer.from('part'))
      if (stage === 'wait' || stage === 'upload') while (server.headers.length === 0) await new Promise(setImmediate)
      const before = [...running.events]
      running.exchange.abort()
      running.exchange.abort()
      if (stage !== 'connect') {
        while (reset === undefined) await new Promise(setImmediate)
        assert.equal(reset, http2.constants.NGHTTP2_CANCEL)
      }
      assert.equal((await call(upstream, { target: '/ok' })).body.toString(), 'ok')
      assert.equal(server.headers.length, stage === 'connect' ? 1 : 2)
      assert.deepEqual(running.events, before)
    })
  }

  test('times out: no head, no more body, an upload that nobody takes', async (t) => {
    const server = await http2Server(t, (stream, headers) => {
      if (headers[':path'] !== '/body') return
      stream.respond({ ':status': 200 })
      stream.write('x')
    })
    const options = { headersTimeout: 150, bodyTimeout: 150 }
    const answers = await Promise.all([
      call(h2(t, server.origin, options), { target: '/head' }),
      call(h2(t, server.origin, options), { target: '/body' }),
      call(h2(t, server.origin, options), { target: '/up', method: 'POST', body: Buffer.alloc(5_000_000) }),
    ])
    for (const { error } of answers) assert.equal(error?.fault, 'timeout')
    assert.match(answers[2].error!.message, /taking/)
  })

  test('that was never answered takes its session out of use', async (t) => {
    const server = await http2Server(t, (stream, _headers, session) => session > 0 && respondOk(stream))
    const upstream = h2(t, server.origin, { headersTimeout: 100 })
    assert.equal((await call(upstream)).error?.fault, 'timeout')
    assert.equal((await call(upstream)).body.toString(), 'ok')
    assert.equal(server.sessions.length, 2)
  })
})

suite('HTTP/2 sessions', () => {
  test('are opened as the upstream’s limit of concurrent streams requires', async (t) => {
    const waiting: http2.ServerHttp2Stream[] = []
    const server = await http2Server(
      t,
      (stream, headers) => (headers[':path'] === '/wait' ? waiting.push(stream) : respondOk(stream)),
      { maxConcurrentStreams: 2 },
    )
    const upstream = h2(t, server.origin)
    await call(upstream)
    const running = Array.from({ length: 5 }, () => start(upstream, { target: '/wait' }).done)
    while (waiting.length < 5) await new Promise(setImmediate)
    assert.equal(server.sessions.length, 3)
    waiting.forEach(respondOk)
    await Promise.all(running)
  })

  test('are asked for no more than that from the very first request', async (t) => {
    const running: number[] = []
    let most = 0
    const server = await http2Server(
      t,
      (stream, _headers, session) => {
        running[session] = (running[session] ?? 0) + 1
        most = Math.max(most, running[session])
        setTimeout(() => {
          running[session]!--
          respondOk(stream)
        }, 20)
      },
      { maxConcurrentStreams: 2 },
    )
    const upstream = h2(t, server.origin)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => call(upstream, { method: at % 2 === 0 ? 'GET' : 'POST' })),
    )
    assert.deepEqual(
      answers.map(({ error, head }) => error?.message ?? head?.status),
      answers.map(() => 200),
    )
    assert.deepEqual([most, server.headers.length], [2, 20])
  })

  test('are waited for while the upstream takes no stream yet, and no longer than for a connection', async (t) => {
    const server = await http2Server(t, respondOk, { maxConcurrentStreams: 0 })
    const upstream = h2(t, server.origin, { connectTimeout: 300 })
    const first = call(upstream)
    while (server.sessions.length === 0) await new Promise(setImmediate)
    server.sessions[0]!.settings({ maxConcurrentStreams: 1 })
    assert.equal((await first).body.toString(), 'ok')
    const late = await call(h2(t, server.origin, { connectTimeout: 300 }))
    assert.deepEqual([late.error?.fault, server.headers.length], ['timeout', 1])
  })

  test('that never begin fail all who wait in the time for a connection, and are given no request', async (t) => {
    const server = await rawServer(t, () => undefined, { ...certs.localhost, ALPNProtocols: ['h2'] })
    const upstream = h2(t, server.origin, { connectTimeout: 200, headersTimeout: 60_000 })
    const answers = await Promise.all([call(upstream), call(upstream, { method: 'POST' })])
    for (const { error } of answers) assert.ok(error instanceof ConnectError && error.fault === 'timeout')
    assert.equal(server.sockets.length, 1)
    // The client's preface and its SETTINGS, and of frames with a request none.
    assert.match(server.received[0]!.toString('latin1'), /^PRI \* HTTP\/2\.0\r\n\r\nSM\r\n\r\n\0..\x04/s)
    assert.ok(!server.received[0]!.toString('latin1').includes('upstream.test'))
  })

  test('that are refused for want of a client certificate are a fault of TLS, and leave nothing to wait for', async (t) => {
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const server = http2.createSecureServer({
        ...certs.localhost,
        ca: certs.ca,
        requestCert: true,
        rejectUnauthorized: true,
        maxVersion,
      })
      server.listen(0, '127.0.0.1')
      t.after(() => server.close())
      await once(server, 'listening')
      const upstream = h2(t, `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`)
      const { error } = await call(upstream)
      assert.deepEqual([error?.fault, error instanceof ConnectError], ['tls', true])
      assert.equal((await call(upstream, { method: 'POST' })).error?.fault, 'tls')
      await upstream.close()
    }
  })

  test('that say GOAWAY finish what they carry, and the next request gets a new one', async (t) => {
    const waiting: http2.ServerHttp2Stream[] = []
    const server = await http2Server(t, (stream, headers) =>
      headers[':path'] === '/wait' ? waiting.push(stream) : respondOk(stream),
    )
    const upstream = h2(t, server.origin)
    const running = start(upstream, { target: '/wait' })
    while (waiting.length === 0) await new Promise(setImmediate)
    server.sessions[0]!.goaway()
    while (server.sessions.length === 1) await call(upstream)
    assert.equal(server.sessions.length, 2)
    respondOk(waiting[0]!)
    assert.equal((await running.done).body.toString(), 'ok')
  })

  test('are all gone after close(), which waits for the exchange that runs', async (t) => {
    let stream: http2.ServerHttp2Stream | undefined
    const server = await http2Server(t, (it) => (stream = it))
    const upstream = h2(t, server.origin)
    const running = start(upstream)
    while (stream === undefined) await new Promise(setImmediate)
    let over = false
    const closing = upstream.close().then(() => (over = true))
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(over, false)
    respondOk(stream)
    assert.equal((await running.done).body.toString(), 'ok')
    await closing
    assert.equal((await call(upstream)).error?.fault, 'unreachable')
  })

  test('whose idle connection dies as the request leaves: GET goes out once more, POST never', async (t) => {
    for (const method of ['GET', 'POST']) {
      let requests = 0
      const server = await http2Server(t, (stream, _headers, session) => {
        if (session === 0 && requests++ > 0) server.tcpSockets[0]!.resetAndDestroy()
        else respondOk(stream)
      })
      const upstream = h2(t, server.origin)
      await call(upstream)
      const { error } = await call(upstream, { method })
      assert.deepEqual([error?.fault, server.headers.length], method === 'GET' ? [undefined, 3] : ['unreachable', 2])
    }
  })

  test('that refuse the stream unseen: GET goes out once more and no oftener, POST never', async (t) => {
    for (const [method, attempts] of [
      ['GET', 2],
      ['POST', 1],
    ] as const) {
      const server = await http2Server(t, (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM))
      const { error } = await call(h2(t, server.origin), { method })
      assert.deepEqual([error?.fault, server.headers.length], ['unreachable', attempts])
    }
  })
})

suite('an upstream that wants HTTP/1.1', () => {
  type Refuse = (stream: http2.ServerHttp2Stream) => void
  const reset: Refuse = (stream) => stream.close(http2.constants.NGHTTP2_HTTP_1_1_REQUIRED)
  const goaway: Refuse = (stream) => stream.session!.goaway(http2.constants.NGHTTP2_HTTP_1_1_REQUIRED)

  /** Refuses what comes over HTTP/2 and answers what comes over HTTP/1.1; `seen` has a line for each. */
  async function picky(t: Ending, refuse: Refuse) {
    const seen: string[] = []
    const server = http2.createSecureServer({ ...certs.localhost, allowHTTP1: true })
    server.on('session', (session) => session.on('error', () => undefined))
    server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
      stream.on('error', () => undefined)
      seen.push(`2 ${headers[':method']}`)
      refuse(stream)
    })
    server.on('request', (request, response) => {
      if (request.httpVersionMajor === 2) return
      seen.push(`1 ${request.method}`)
      response.end('ok')
    })
    server.listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    return { origin: `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`, seen }
  }

  for (const [story, refuse] of [
    ['RST_STREAM', reset],
    ['GOAWAY', goaway],
  ] as const) {
    test(`says so with ${story}: a GET goes out again and all that follow over HTTP/1.1`, async (t) => {
      const { origin, seen } = await picky(t, refuse)
      const upstream = h2(t, origin)
      assert.equal((await call(upstream)).body.toString(), 'ok')
      assert.equal((await call(upstream, { method: 'POST' })).body.toString(), 'ok')
      assert.deepEqual(seen, ['2 GET', '1 GET', '1 POST'])
      await upstream.close()
    })

    test(`says so with ${story}: a POST fails and is told why, the next goes over HTTP/1.1`, async (t) => {
      const { origin, seen } = await picky(t, refuse)
      const upstream = h2(t, origin)
      const { error } = await call(upstream, { method: 'POST' })
      assert.equal(error?.fault, 'protocol')
      assert.match(error.message, /HTTP_1_1_REQUIRED.*allowH2: false/)
      assert.equal((await call(upstream, { method: 'POST' })).body.toString(), 'ok')
      assert.deepEqual(seen, ['2 POST', '1 POST'])
    })
  }

  test('but does not speak it, is asked over HTTP/2 again', async (t) => {
    const server = await http2Server(t, (stream) => (server.headers.length === 1 ? reset(stream) : respondOk(stream)))
    const upstream = h2(t, server.origin)
    assert.equal((await call(upstream, { method: 'POST' })).error?.fault, 'protocol')
    assert.equal((await call(upstream)).error?.fault, 'tls')
    assert.equal((await call(upstream)).body.toString(), 'ok')
  })
})

suite('HTTP/2 frames that end an answer', () => {
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head[3] = type
    head[4] = flags
    head.writeUInt32BE(stream, 5)
    return Buffer.concat([head, payload])
  }
  const status200 = frame(1, 4, 1, Buffer.from([0x88]))
  // content-length: 9, a literal without indexing.
  const length9 = frame(1, 4, 1, Buffer.concat([Buffer.from([0x88, 0x0f, 0x0d, 1]), Buffer.from('9')]))
  const data = frame(0, 0, 1, Buffer.from('part'))
  const lastData = frame(0, 1, 1, Buffer.from('last'))
  /** Not a frame: the end of the connection. */
  const fin = Buffer.alloc(0)
  const reset = (code: number) => frame(3, 0, 1, Buffer.from([0, 0, 0, code]))

  /** Sends these frames as soon as a request has come. */
  function framed(t: Ending, frames: readonly Buffer[]): Promise<RawServer> {
    return rawServer(
      t,
      (socket) => {
        socket.write(frame(4, 0, 0, Buffer.alloc(0)))
        let seen = Buffer.alloc(0)
        let answered = false
        socket.on('data', (chunk: Buffer) => {
          seen = Buffer.concat([seen, chunk])
          if (
            answered ||
            (!seen.includes(Buffer.from([1, 5, 0, 0, 0, 1])) && !seen.includes(Buffer.from([1, 4, 0, 0, 0, 1])))
          )
            return
          answered = true
          socket.write(Buffer.concat(frames))
          if (frames.at(-1) === fin) socket.end()
        })
      },
      { ...certs.localhost, ALPNProtocols: ['h2'] },
    )
  }

  for (const [story, frames, expected, method] of [
    ['END_STREAM', [status200, data, lastData], 'end', 'GET'],
    ['END_STREAM and RST_STREAM without an error', [status200, data, lastData, reset(0)], 'end', 'GET'],
    ['END_STREAM and RST_STREAM without an error, to an upload', [status200, data, lastData, reset(0)], 'end', 'POST'],
    ['RST_STREAM without an error, but no END_STREAM', [status200, data, reset(0)], 'unreachable', 'GET'],
    ['RST_STREAM without an error, to an upload', [status200, data, reset(0)], 'unreachable', 'POST'],
    ['RST_STREAM without an error, before the announced length', [length9, data, reset(0)], 'unreachable', 'GET'],
    ['RST_STREAM with CANCEL', [status200, data, reset(8)], 'unreachable', 'GET'],
    ['RST_STREAM with INTERNAL_ERROR', [status200, reset(2)], 'unreachable', 'GET'],
    ['END_STREAM before the announced length', [length9, lastData], 'protocol', 'GET'],
    ['END_STREAM after the announced length', [length9, data, data, lastData], 'protocol', 'GET'],
    ['the end of the connection', [status200, data, fin], 'unreachable', 'GET'],
    ['GOAWAY that excludes the stream', [status200, data, frame(7, 0, 0, Buffer.alloc(8))], 'unreachable', 'GET'],
    ['something that is no frame', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], 'protocol', 'GET'],
    ['a body behind a 204', [frame(1, 4, 1, Buffer.from([0x89])), lastData], 'protocol', 'GET'],
    ['a body for a HEAD', [status200, lastData], 'protocol', 'HEAD'],
    ['a status of 101', [frame(1, 4, 1, Buffer.from('\x08\x03101'))], 'protocol', 'GET'],
    ['a 103 at its end', [frame(1, 5, 1, Buffer.from('\x08\x03103'))], 'protocol', 'GET'],
    ['a head without :status', [frame(1, 4, 1, Buffer.alloc(0))], 'protocol', 'GET'],
  ] as const) {
    test(`${story}: ${expected}`, async (t) => {
      const server = await framed(t, frames)
      const running = start(h2(t, server.origin), { method, body: method === 'POST' ? { length: 100 } : undefined })
      await running.done
      assert.equal(running.error?.fault ?? running.events.at(-1), expected)
      server.sockets[0]!.destroy()
    })
  }

  test('RST_STREAM without an error before the announced length, to a reader who pauses: protocol', async (t) => {
    const server = await framed(t, [length9, data, reset(0)])
    const running = start(h2(t, server.origin))
    running.reading = false
    await running.until('data')
    await new Promise((resolve) => setTimeout(resolve, 30))
    running.exchange.resume()
    await running.done
    assert.equal(running.error?.fault, 'protocol')
    server.sockets[0]!.destroy()
  })

  test('the end of a new connection: its first request is not sent again', async (t) => {
    const server = await framed(t, [fin])
    assert.equal((await call(h2(t, server.origin))).error?.fault, 'unreachable')
    assert.equal(server.sockets.length, 1)
  })

  test('a field with a line break does not arrive (A7)', async (t) => {
    const fields = Buffer.from('\x88\x00\x01a\x03b\r\n\x00\x01c\x01d', 'latin1')
    const server = await framed(t, [frame(1, 4, 1, fields), lastData])
    const { head, body } = await call(h2(t, server.origin))
    assert.deepEqual([head?.headers, body.toString()], [['c', 'd'], 'last'])
    server.sockets[0]!.destroy()
  })
})
