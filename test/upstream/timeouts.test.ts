import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { suite, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { answering, call, closed, ok, open, rawServer, start } from './support.ts'

/** Never early, but for the millisecond in which Node's timers count; how much later says more about a busy machine than about the timer. */
function assertTook(from: number, timeout: number): void {
  const took = performance.now() - from
  assert.ok(took > timeout - 1 && took < timeout + 1500, `took ${took} ms for a time-out of ${timeout} ms`)
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

suite('time-outs', { concurrency: true }, () => {
  test('connecting: a listener that accepts nobody', async (t) => {
    // Node accepts by itself, so the TCP connection is made; what never comes is the TLS handshake.
    const server = await rawServer(t, () => undefined)
    const from = performance.now()
    const { error } = await call(open(t, server.origin.replace('http:', 'https:'), { connectTimeout: 150 }))
    assert.equal(error?.fault, 'timeout')
    assertTook(from, 150)
    await closed(server)
  })

  test('connecting: a full accept queue, where packets vanish', async (t) => {
    const blocked = new Worker(
      `const { parentPort } = require('node:worker_threads')
       const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
         parentPort.postMessage(server.address().port)
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
       })`,
      { eval: true },
    )
    t.after(() => blocked.terminate())
    const [port] = (await once(blocked, 'message')) as [number]
    const fillers = Array.from({ length: 6 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined))
    t.after(() => fillers.forEach((socket) => socket.destroy()))
    await Promise.all(fillers.slice(0, 2).map((socket) => once(socket, 'connect')))
    const from = performance.now()
    const { error } = await call(open(t, `http://127.0.0.1:${port}`, { connectTimeout: 150 }))
    assert.equal(error?.fault, 'timeout')
    assertTook(from, 150)
  })

  test('the head: counted from the last byte of the request, and the connection is closed', async (t) => {
    const server = await rawServer(t, () => undefined)
    const upstream = open(t, server.origin, { headersTimeout: 150 })
    const running = start(upstream, { method: 'POST', body: { length: 2 } })
    running.exchange.write(Buffer.from('a'))
    await pause(400)
    assert.deepEqual(running.events, [], 'a slow caller is not the upstream’s fault')
    running.exchange.write(Buffer.from('b'))
    running.exchange.end()
    const from = performance.now()
    await running.done
    assert.equal(running.error?.fault, 'timeout')
    assertTook(from, 150)
    await closed(server)
  })

  test('the head: interim answers do not put it off for ever', async (t) => {
    const server = await rawServer(t, (socket) => {
      const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 50)
      socket.on('close', () => clearInterval(timer))
    })
    const from = performance.now()
    assert.equal((await call(open(t, server.origin, { headersTimeout: 150 }))).error?.fault, 'timeout')
    assertTook(from, 150)
  })

  test('the head: a drop now and then does not put it off either', async (t) => {
    const server = await rawServer(t, (socket) => {
      const text = 'HTTP/1.1 200 OK\r\nX: '.padEnd(1000, 'x')
      let at = 0
      const timer = setInterval(() => socket.write(text.charAt(at++)), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const from = performance.now()
    assert.equal((await call(open(t, server.origin, { headersTimeout: 150 }))).error?.fault, 'timeout')
    assertTook(from, 150)
  })

  test('the body: between two pieces, however long the whole takes', async (t) => {
    const server = await rawServer(t, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n')
        let left = 6
        const timer = setInterval(() => {
          if (left-- > 0) socket.write('x')
          else clearInterval(timer)
        }, 60)
        socket.on('close', () => clearInterval(timer))
      })
    })
    const from = performance.now()
    const { error, body } = await call(open(t, server.origin, { bodyTimeout: 150 }))
    assert.equal(error?.fault, 'timeout')
    assert.equal(body.length, 6)
    assert.ok(performance.now() - from > 6 * 60 + 100)
  })

  test('the body: not while the reader pauses', async (t) => {
    const server = await rawServer(t, (socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no'))
    })
    const running = start(open(t, server.origin, { bodyTimeout: 100 }))
    running.reading = false
    await running.until('data')
    await pause(400)
    assert.ok(!running.events.includes('error'))
    running.exchange.resume()
    server.sockets[0]!.write('k')
    await running.done
    assert.equal(running.body.toString(), 'ok')
  })

  test('the upload: an upstream that stops taking it', async (t) => {
    const server = await rawServer(t, (socket) => socket.once('data', () => socket.pause()))
    const running = start(open(t, server.origin, { bodyTimeout: 150, headersTimeout: 60_000 }), {
      method: 'POST',
      body: Buffer.alloc(30_000_000),
    })
    await running.done
    assert.equal(running.error?.fault, 'timeout')
    assert.match(running.error.message, /taking/)
  })

  test('leave a slow but living exchange alone, and the connection is used again', async (t) => {
    const server = await rawServer(t, (socket) => socket.on('data', () => setTimeout(() => socket.write(ok), 120)))
    const upstream = open(t, server.origin, { headersTimeout: 300 })
    for (let round = 0; round < 4; round++) assert.equal((await call(upstream)).body.toString(), 'ok')
    assert.equal(server.sockets.length, 1)
  })
})

test('time-outs do not strike an answer that waited in the socket while the process was held up', async (t) => {
  const server = await answering(t, ok)
  const upstream = open(t, server.origin, { headersTimeout: 200 })
  await call(upstream)
  const running = start(upstream)
  while (server.received[0]!.toString().split('GET').length < 3) await new Promise(setImmediate)
  const until = performance.now() + 600
  while (performance.now() < until);
  assert.equal((await running.done).body.toString(), 'ok')
})
