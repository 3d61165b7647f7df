import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as certs from '../helpers/certs.ts'
import { answering, call, closed, ok, open, rawServer, start } from './support.ts'

suite('a request on the wire', () => {
  test('is the target, the fields in their order and spelling, and no field more', async (t) => {
    const server = await answering(t, ok)
    const headers = ['Host', 'a.example', 'authorization', 'Bearer t', 'X-B', '1', 'X-B', '2', 'X-\u0065', 'caf\xe9']
    await call(open(t, server.origin), { target: '/a%2Fb//c;d?q="<%zz\xe9', headers })
    assert.equal(
      server.received[0]?.toString('latin1'),
      'GET /a%2Fb//c;d?q="<%zz\xe9 HTTP/1.1\r\nHost: a.example\r\nauthorization: Bearer t\r\nX-B: 1\r\nX-B: 2\r\nX-e: caf\xe9\r\n\r\n',
    )
  })

  test('has its whole body right behind the head, in the same packet', async (t) => {
    const chunks: string[] = []
    const server = await rawServer(t, (socket) => {
      socket.on('data', (chunk) => {
        chunks.push(chunk.toString('latin1'))
        socket.write(ok)
      })
    })
    await call(open(t, server.origin), { method: 'POST', body: Buffer.from('\0\xff\r\n', 'latin1') })
    assert.deepEqual(chunks, ['POST / HTTP/1.1\r\nHost: upstream.test\r\nContent-Length: 4\r\n\r\n\0\xff\r\n'])
  })

  test('says Content-Length: 0 for an empty body and nothing for none', async (t) => {
    const server = await answering(t, ok)
    const upstream = open(t, server.origin)
    await call(upstream, { method: 'POST', body: Buffer.alloc(0) })
    await call(upstream, { method: 'POST' })
    assert.equal(
      server.received[0]?.toString('latin1'),
      'POST / HTTP/1.1\r\nHost: upstream.test\r\nContent-Length: 0\r\n\r\nPOST / HTTP/1.1\r\nHost: upstream.test\r\n\r\n',
    )
  })

  for (const [length, wire] of [
    [6, 'Content-Length: 6\r\n\r\nabcdef'],
    [undefined, 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n'],
  ] as const) {
    test(`carries pieces that begin before the connection is there, length ${length ?? 'unknown'}`, async (t) => {
      const server = await rawServer(t, (socket) => {
        socket.on('data', (chunk) => {
          if (/(def|0\r\n\r\n)$/.test(chunk.toString())) socket.write(ok)
        })
      })
      const upstream = open(t, server.origin)
      for (const round of [0, 1]) {
        const running = start(upstream, { method: 'PUT', body: { length } })
        assert.equal(
          running.exchange.write(Buffer.from('abc')),
          round === 1,
          'waits for a connection in the first round only',
        )
        running.exchange.write(Buffer.alloc(0))
        if (round === 0) await running.until('drain')
        running.exchange.write(Buffer.from('def'))
        running.exchange.end()
        await running.done
        assert.deepEqual(running.events, ['head', 'data', 'end'])
      }
      assert.equal(server.received[0]?.toString(), `PUT / HTTP/1.1\r\nHost: upstream.test\r\n${wire}`.repeat(2))
    })
  }

  for (const [story, pieces] of [
    ['more', ['abcd', 'GET /evil HTTP/1.1\r\n\r\n']],
    ['fewer', ['ab']],
  ] as const) {
    test(`ends in an error and a closed connection when it has ${story} bytes than announced`, async (t) => {
      const server = await rawServer(t, () => undefined)
      const running = start(open(t, server.origin), { method: 'POST', body: { length: 4 } })
      running.exchange.write(Buffer.from(pieces[0]))
      await running.until('drain')
      for (const piece of pieces.slice(1)) running.exchange.write(Buffer.from(piece))
      running.exchange.end()
      const { error } = await running.done
      assert.equal(error?.fault, 'protocol')
      await closed(server)
      assert.doesNotMatch(server.received[0]!.toString(), /evil/)
    })
  }
})

suite('an answer', () => {
  test('comes with interim answers before it left out', async (t) => {
    const server = await answering(t, `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${ok}`)
    const upstream = open(t, server.origin)
    for (const method of ['GET', 'POST']) {
      const answer = await call(upstream, { method, body: method === 'POST' ? Buffer.from('x') : undefined })
      assert.deepEqual(
        [answer.head?.status, answer.body.toString(), answer.events],
        [200, 'ok', ['head', 'data', 'end']],
      )
    }
    assert.equal(server.sockets.length, 1)
  })

  test('without a body ends with its head', async (t) => {
    const server = await answering(
      t,
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n',
      'HTTP/1.1 204 Done\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n',
    )
    const upstream = open(t, server.origin)
    for (const method of ['GET', 'GET', 'HEAD']) {
      const answer = await call(upstream, { method })
      assert.deepEqual([answer.events, answer.head?.hasBody], [['head', 'end'], false])
    }
    assert.equal(server.sockets.length, 1, 'all on one connection')
  })

  test('keeps its first byte from waiting for its last', async (t) => {
    const server = await rawServer(t, (socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'))
    })
    const running = start(open(t, server.origin))
    await running.until('data')
    assert.equal(running.body.toString(), 'data: 1\n\n')
    server.sockets[0]!.end('data: 2\n\n')
    await running.done
    assert.equal(running.body.toString(), 'data: 1\n\ndata: 2\n\n')
  })

  for (const [story, begin, last, fault] of [
    ['before its head', '', 'FIN', 'unreachable'],
    ['before its head', '', 'RST', 'unreachable'],
    ['within its head', 'HTTP/1.1 200 OK\r\nConte', 'FIN', 'protocol'],
    ['within its head', 'HTTP/1.1 200 OK\r\nConte', 'RST', 'unreachable'],
    ['within a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort', 'FIN', 'protocol'],
    ['within a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort', 'RST', 'unreachable'],
    ['within a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort', 'FIN', 'protocol'],
    ['between two chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n', 'FIN', 'protocol'],
    ['within a body until close', 'HTTP/1.1 200 OK\r\n\r\nshort', 'RST', 'unreachable'],
  ] as const) {
    test(`that breaks off ${story} by ${last} is an error, never an end (G5)`, async (t) => {
      const server = await rawServer(t, (socket) => {
        socket.once('data', () => {
          socket.write(begin)
          if (last === 'FIN') socket.end()
        })
      })
      const running = start(open(t, server.origin))
      if (last === 'RST') {
        if (begin.includes('\r\n\r\n')) await running.until('data')
        else await new Promise((resolve) => setTimeout(resolve, 30))
        server.sockets[0]!.resetAndDestroy()
      }
      const { error, events } = await running.done
      assert.equal(error?.fault, fault)
      assert.equal(events.includes('end'), false)
      assert.equal(server.sockets.length, 1, 'sent once')
    })
  }

  for (const [story, bytes] of [
    ['CL and TE', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two CL', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\nok'],
    ['garbage', 'hello'],
    ['status 000', 'HTTP/1.1 000 Zero\r\n\r\n'],
    ['status 999', 'HTTP/1.1 999 Denied\r\n\r\n'],
    ['an unsolicited 101', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
    ['a field with a line break (A7)', 'HTTP/1.1 200 OK\r\nA: 1\nSet-Cookie: evil\r\nContent-Length: 2\r\n\r\nok'],
    ['a field with a NUL (A7)', 'HTTP/1.1 200 OK\r\nA: 1\0\r\nContent-Length: 2\r\n\r\nok'],
    ['a head over 16 KiB (G7)', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(16_384)}\r\nContent-Length: 2\r\n\r\nok`],
  ] as const) {
    test(`with ${story} is a protocol error and the socket is destroyed (B6)`, async (t) => {
      const server = await answering(t, bytes, ok)
      const upstream = open(t, server.origin)
      const { error, events } = await call(upstream)
      assert.equal(error?.fault, 'protocol')
      assert.deepEqual(events, ['error'])
      assert.equal((await call(upstream)).body.toString(), 'ok')
      assert.equal(server.sockets.length, 2, 'the next request has a connection of its own')
    })
  }

  test('of 16 KiB less a little passes', async (t) => {
    const server = await answering(t, `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(16_000)}\r\nContent-Length: 2\r\n\r\nok`)
    assert.equal((await call(open(t, server.origin))).head?.headers[1]?.length, 16_000)
  })
})

suite('an answer that comes before the request is complete', () => {
  for (const [story, body] of [
    ['a sized', { length: 50_000_000 }],
    ['a chunked', { length: undefined }],
  ] as const) {
    test(`is delivered while the upstream no longer reads ${story} body, and the connection ends`, async (t) => {
      const server = await rawServer(t, (socket) => {
        socket.once('data', () => {
          socket.pause()
          socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig')
        })
      })
      const upstream = open(t, server.origin)
      const running = start(upstream, { method: 'POST', body })
      const chunk = Buffer.alloc(1 << 20)
      running.exchange.write(chunk)
      running.onEvent = (event) => {
        if (event === 'drain') while (running.drains < 1000 && running.exchange.write(chunk));
      }
      await running.done
      assert.deepEqual([running.head?.status, running.body.toString(), running.error], [413, 'big', undefined])
      assert.equal(running.exchange.write(chunk), true, 'what is still written goes nowhere')
      running.exchange.end()
      server.sockets[0]!.resume()
      await closed(server)
    })
  }

  test('with Connection: close sets the caller free to drain its body at once', async (t) => {
    const server = await rawServer(t, (socket) => {
      socket.once('data', () => {
        socket.pause()
        socket.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nb')
      })
    })
    const running = start(open(t, server.origin), { method: 'POST', body: { length: 50_000_000 } })
    running.exchange.write(Buffer.alloc(20_000_000))
    await running.until('data')
    assert.equal(running.drains, 1)
    assert.equal(running.exchange.write(Buffer.alloc(20_000_000)), true)
    server.sockets[0]!.write('ig')
    await running.done
    assert.equal(running.body.toString(), 'big')
  })

  test('costs the connection, or the next request would be taken for the rest of this one', async (t) => {
    const server = await rawServer(t, (socket) => socket.once('data', () => socket.write(ok)))
    const upstream = open(t, server.origin)
    const running = start(upstream, { method: 'POST', body: { length: 1000 } })
    running.exchange.write(Buffer.from('begin'))
    await running.done
    assert.deepEqual([running.body.toString(), running.error], ['ok', undefined])
    assert.equal((await call(upstream)).body.toString(), 'ok')
    assert.equal(server.sockets.length, 2)
  })

  test('costs the connection also when the rest of the request is only waiting to leave', async (t) => {
    const server = await rawServer(t, (socket) => {
      socket.once('data', () => {
        socket.pause()
        socket.write(ok)
      })
    })
    const upstream = open(t, server.origin)
    for (const round of [1, 2]) {
      const { error, body } = await call(upstream, { method: 'POST', body: Buffer.alloc(20_000_000) })
      assert.deepEqual([error, body.toString(), server.sockets.length], [undefined, 'ok', round])
    }
  })

  test('does not end an upload that the upstream goes on reading', async (t) => {
    const server = await rawServer(t, (socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'))
      socket.on('data', (chunk) => {
        if (chunk.toString().endsWith('0\r\n\r\n')) socket.write('4\r\ndone\r\n0\r\n\r\n')
      })
    })
    const upstream = open(t, server.origin)
    const running = start(upstream, { method: 'POST', body: { length: undefined } })
    running.exchange.write(Buffer.from('one'))
    await running.until('head')
    running.exchange.write(Buffer.from('two'))
    running.exchange.end()
    await running.done
    assert.equal(running.body.toString(), 'done')
    assert.match(server.received[0]!.toString(), /3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n$/)
  })
})

suite('abort', () => {
  for (const [story, stage] of [
    ['before the connection is there', 'connect'],
    ['while the upstream thinks (G3)', 'wait'],
    ['while the body comes', 'data'],
    ['within an upload, which the upstream sees cut off (G4)', 'upload'],
  ] as const) {
    test(`closes the connection ${story}, and no handler is called any more`, async (t) => {
      const server = await rawServer(t, (socket) => {
        if (stage === 'data')
          socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort'))
      })
      const upstream = open(t, server.origin)
      const body = stage === 'upload' ? { length: undefined } : undefined
      const running = start(upstream, { method: 'POST', body })
      if (stage === 'data') await running.until('data')
      if (stage === 'upload') {
        running.exchange.write(Buffer.from('part'))
        await running.until('drain')
      }
      if (stage === 'wait' || stage === 'upload')
        while (server.received[0]?.includes('POST') !== true) await new Promise(setImmediate)
      const before = [...running.events]
      running.exchange.abort()
      running.exchange.abort()
      running.exchange.resume()
      running.exchange.write(Buffer.from('more'))
      running.exchange.end()
      if (stage !== 'connect') await closed(server)
      await upstream.close()
      assert.deepEqual(running.events, before)
      if (stage === 'upload') assert.ok(!server.received[0]!.toString().includes('0\r\n\r\n'))
    })
  }

  for (const stage of ['head', 'data', 'end'] as const) {
    test(`may be called from within on-${stage}`, async (t) => {
      const server = await answering(t, ok)
      const upstream = open(t, server.origin)
      const running = start(upstream)
      await new Promise<void>((resolve) => {
        running.onEvent = (event) => {
          if (event !== stage) return
          running.exchange.abort()
          resolve()
        }
      })
      assert.equal((await call(upstream)).body.toString(), 'ok')
      assert.equal(running.events.at(-1), stage)
      assert.equal(server.sockets.length, stage === 'end' ? 1 : 2, 'after the end there is nothing to abort')
    })
  }
})

for (const secure of [false, true]) {
  suite(`back-pressure over ${secure ? 'TLS' : 'TCP'}`, () => {
    const tlsOptions = secure ? certs.localhost : undefined
    const total = 64 * (1 << 20)
    const block = Buffer.alloc(1 << 16, 'abcdefgh')

    test('a reader that pauses gets nothing until it resumes, and then every byte in order', async (t) => {
      const text = Buffer.from(Array.from({ length: 400_000 }, (_, at) => `${at};`).join(''))
      const server = await rawServer(
        t,
        (socket) => {
          socket.once('data', () => {
            socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`)
            for (let at = 0; at < text.length; at += 7_777) {
              const piece = text.subarray(at, at + 7_777)
              socket.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]))
            }
            socket.write('0\r\n\r\n')
          })
        },
        tlsOptions,
      )
      const running = start(open(t, server.origin))
      running.reading = false
      let paused = false
      running.onEvent = (event) => {
        if (event !== 'data') return
        assert.equal(paused, false, 'data while paused')
        paused = true
        setImmediate(() => {
          paused = false
          running.exchange.resume()
        })
      }
      await running.done
      assert.ok(running.body.equals(text))
      assert.ok(running.chunks.length > 20)
    })

    test('64 MiB down to a slow reader stay in the upstream, not in memory', async (t) => {
      let sent = 0
      const server = await rawServer(
        t,
        (socket) => {
          const fill = () => {
            while (sent < total && socket.write(block)) sent += block.length
          }
          socket.once('data', () => {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total + block.length}\r\n\r\n`)
            socket.on('drain', () => {
              sent += block.length
              fill()
            })
            fill()
          })
        },
        tlsOptions,
      )
      const running = start(open(t, server.origin))
      running.reading = false
      await running.until('data')
      await new Promise((resolve) => setTimeout(resolve, 100))
      const held = sent
      assert.ok(held < 16 * (1 << 20), `${held} bytes left the upstream for a reader that does not read`)
      running.exchange.abort()
    })

    test('64 MiB up to a slow upstream stay with the caller', async (t) => {
      const server = await rawServer(t, (socket) => socket.once('data', () => socket.pause()), tlsOptions)
      const running = start(open(t, server.origin), { method: 'POST', body: { length: total } })
      let written = 0
      const fill = () => {
        do written += block.length
        while (running.exchange.write(block) && written < total)
      }
      running.onEvent = fill
      fill()
      await running.until('drain')
      running.onEvent = fill
      fill()
      await new Promise((resolve) => setTimeout(resolve, 100))
      assert.ok(written < 16 * (1 << 20), `${written} bytes taken from the caller`)
      running.exchange.abort()
    })

    test('64 MiB each way pass in flat memory', async (t) => {
      let received = 0
      const server = await rawServer(
        t,
        (socket) => {
          socket.removeAllListeners('data')
          let headEnd = false
          socket.on('data', (chunk: Buffer) => {
            if (!headEnd) {
              headEnd = true
              socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
              chunk = chunk.subarray(chunk.indexOf('\r\n\r\n') + 4)
            }
            received += chunk.length
            if (!socket.write(chunk)) {
              socket.pause()
              socket.once('drain', () => socket.resume())
            }
          })
        },
        tlsOptions,
      )
      const running = start(open(t, server.origin), { method: 'POST', body: { length: total } })
      let written = 0
      let read = 0
      let peak = 0
      running.onData = (chunk) => {
        assert.equal(chunk[0], block[read % block.length])
        read += chunk.length
        peak = Math.max(peak, process.memoryUsage.rss())
        return true
      }
      const fill = () => {
        while (written < total) {
          written += block.length
          if (!running.exchange.write(block)) return
        }
        running.exchange.end()
      }
      const before = process.memoryUsage.rss()
      running.onEvent = (event) => {
        if (event === 'drain') fill()
      }
      fill()
      await running.done
      assert.deepEqual([running.error, read, received], [undefined, total, total])
      assert.ok(peak - before < 48 * (1 << 20), `grew by ${(peak - before) >> 20} MiB`)
    })
  })
}
