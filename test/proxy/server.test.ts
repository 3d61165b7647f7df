import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import test from 'node:test'
import { ProxyError } from '../../src/errors.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { code, dial, get, raw, startProxy, startUpstream } from './harness.ts'

test('several listeners serve the same routes, and all their addresses are told', async (t) => {
  const upstream = await startUpstream(t)
  const path = join(tempDir(t), 's.sock')
  const { proxy } = await startProxy(t, {
    routes: [{ upstream: upstream.url }],
    proxy: { listen: ['127.0.0.1:0', '127.0.0.1:0', `unix:${path}`] },
  })
  const addresses = proxy.addresses
  assert.equal(addresses.length, 3)
  assert.equal(addresses[2]?.url, `unix:${path}`)
  for (const { port } of addresses.slice(0, 2)) assert.equal((await raw(t, port ?? 0, get('/'))).status, 200)
})

test('when one address is taken none is kept', async (t) => {
  const upstream = await startUpstream(t)
  const taken = new URL(upstream.url).port
  const path = join(tempDir(t), 's.sock')
  await assert.rejects(
    startProxy(t, { routes: [{ upstream: upstream.url }], proxy: { listen: [`unix:${path}`, `127.0.0.1:${taken}`] } }),
    { name: 'ListenError' },
  )
  await startProxy(t, { routes: [{ upstream: upstream.url }], proxy: { listen: `unix:${path}` } })
})

test('a socket file that a killed process left is replaced', async (t) => {
  const upstream = await startUpstream(t)
  const path = join(tempDir(t), 's.sock')
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  await startProxy(t, { routes: [{ upstream: upstream.url }], proxy: { listen: `unix:${path}` } })
  const status = await new Promise((resolve) => {
    httpRequest({ socketPath: path, path: '/' }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).end()
  })
  assert.equal(status, 200)
})

test('closing lets a running request end, tells kept connections to close and refuses new ones', async (t) => {
  let finish: () => void = () => undefined
  const upstream = await startUpstream(t, (request, response) => {
    if (request.url === '/slow') finish = () => response.end('late')
    else response.end('quick')
  })
  const { proxy, port } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const idle = dial(t, port).write(get('/'))
  await idle.answer()
  const busy = dial(t, port).write(get('/slow'))
  while (upstream.seen.length < 2) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(proxy.inFlight, 1)
  const closed = proxy.close(5000)
  await idle.untilClosed()
  await dial(t, port).until(() => true)
  finish()
  const answer = await busy.answer()
  assert.equal(answer.body, 'late')
  assert.match(answer.head, /Connection: close/i)
  assert.equal(await closed, true)
})

test('what is not done after the grace is cut off, and close() says so', async (t) => {
  const upstream = await startUpstream(t, () => undefined)
  const { proxy, port, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const record = nextRecord()
  const caller = dial(t, port).write(get('/'))
  while (upstream.seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(await proxy.close(50), false)
  await caller.untilClosed()
  assert.equal((await record).ending, 'caller-left')
})

test('a new setup serves the next request on the same connection, and the one in progress ends with the old', async (t) => {
  const held: (() => void)[] = []
  const first = await startUpstream(t, (_, response) => void held.push(() => response.end('first')))
  const second = await startUpstream(t, (_, response) => response.end('second'))
  const { proxy, port, setup } = await startProxy(t, { routes: [{ upstream: first.url }] })
  const caller = dial(t, port).write(get('/'))
  while (held.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await proxy.use(setup({ routes: [{ upstream: second.url }], proxy: { callerSecret: 's' } }))
  held[0]?.()
  assert.equal((await caller.answer()).body, 'first')
  caller.write(get('/'))
  assert.equal(code(await caller.answer()), 'caller_secret_required')
  caller.write(get('/', 'Bearer-Sidecar-Secret: s\r\n'))
  assert.equal((await caller.answer()).body, 'second')
})

test('a setup that cannot be served is refused and the old one goes on', async (t) => {
  const upstream = await startUpstream(t)
  const { proxy, port, setup } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const broken = setup({ routes: [{ upstream: upstream.url, headers: { X: 'fine' } }] })
  const routes = broken.routes.map((route) => ({ ...route, config: { ...route.config, headers: { X: 'se\ncret' } } }))
  await assert.rejects(
    proxy.use({ ...broken, routes }),
    (error: Error) => /header X/.test(error.message) && !error.message.includes('cret'),
  )
  assert.equal((await raw(t, port, get('/'))).status, 200)
})

test('errors of a token source are answered as they are, with Retry-After', async (t) => {
  const upstream = await startUpstream(t)
  const { port, sources, nextRecord } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  sources['sky']!.answer = () => {
    throw new ProxyError('login_required', { detail: 'Run: bearer-sidecar login sky' })
  }
  const login = await raw(t, port, get('/'))
  assert.equal(login.status, 503)
  assert.equal(code(login), 'login_required')
  assert.match(login.body, /bearer-sidecar login sky/)
  sources['sky']!.answer = () => Promise.reject(new ProxyError('token_endpoint_unavailable', { retryAfter: 7 }))
  const passing = await raw(t, port, get('/'))
  assert.equal(passing.status, 503)
  assert.match(passing.head, /Retry-After: 7/)
  sources['sky']!.answer = () => Promise.reject(new Error('secret internals'))
  const record = nextRecord()
  const internal = await raw(t, port, get('/'))
  assert.equal(internal.status, 500)
  assert.ok(!internal.body.includes('internals'))
  assert.equal((await record).errorCode, 'internal_error')
  assert.equal(upstream.seen.length, 0)
})

test('a request id is ours alone: random, in our own answers, never taken from or sent to anybody', async (t) => {
  const upstream = await startUpstream(t)
  const { port, records } = await startProxy(t, { routes: [{ path: '/x/', upstream: upstream.url }] })
  const answer = await raw(t, port, get('/no', 'X-Request-Id: evil\r\nRequest-Id: evil\r\n'))
  assert.match(answer.body, /"requestId":"id-\d+"/)
  await raw(t, port, get('/x/', `X-Request-Id: theirs\r\ntraceparent: 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01\r\n`))
  assert.ok(!upstream.seen[0]?.rawHeaders.some((item) => item.startsWith('id-')))
  assert.ok(upstream.seen[0]?.rawHeaders.includes('theirs'))
  assert.equal(records[1]?.traceId, 'a'.repeat(32))
  assert.equal(records[0]?.traceId, undefined)
})

test('every request that starts finishes, once', async (t) => {
  let started = 0
  const upstream = await startUpstream(t)
  const { port, records, proxy } = await startProxy(t, {
    routes: [{ path: '/x/', upstream: upstream.url }],
    events: { onStart: () => started++ },
  })
  const caller = dial(t, port)
  for (const target of ['/x/', '/no', '/x/..', '/x/1']) {
    caller.write(get(target))
    await caller.answer()
  }
  assert.equal(started, 4)
  assert.deepEqual(
    records.map(({ status }) => status),
    [200, 404, 400, 200],
  )
  assert.equal(proxy.inFlight, 0)
})
