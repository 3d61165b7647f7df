import assert from 'node:assert/strict'
import test from 'node:test'
import { startProxy, startUpstream, values } from './harness.ts'

test('a request goes out with a token and the keys and its answer comes back', async (t) => {
  const upstream = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'X-Odd': 'yes' }).end('{"a":1}')
  })
  const { url, nextRecord } = await startProxy(t, {
    routes: [{ upstream: upstream.url, headers: { 'X-Route': 'r' } }],
    credentials: { sky: { headers: { 'Bb-Api-Subscription-Key': 'key' } } },
  })
  const record = nextRecord()
  const response = await fetch(`${url}/v1/things?q=1`, { headers: { 'X-Mine': 'm' } })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-odd'), 'yes')
  assert.equal(await response.text(), '{"a":1}')
  const [seen] = upstream.seen
  assert.ok(seen)
  assert.equal(seen.target, '/v1/things?q=1')
  assert.deepEqual(seen.rawHeaders.slice(0, 2), ['Host', upstream.host])
  assert.deepEqual(values(seen.rawHeaders, 'authorization'), ['Bearer sky-1'])
  assert.deepEqual(values(seen.rawHeaders, 'bb-api-subscription-key'), ['key'])
  assert.deepEqual(values(seen.rawHeaders, 'x-route'), ['r'])
  assert.deepEqual(values(seen.rawHeaders, 'x-mine'), ['m'])
  const { status, route, attempts, ending } = await record
  assert.deepEqual({ status, route, attempts, ending }, { status: 200, route: '/', attempts: 1, ending: 'answered' })
})

test('a rejected token is renewed and the request replayed with the same body', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    const fresh = request.headers.authorization === 'Bearer sky-2'
    response.writeHead(fresh ? 200 : 401).end(fresh ? 'done' : '{"message":"the token has expired"}')
  })
  const { url, sources, replays } = await startProxy(t, { routes: [{ upstream: upstream.url }] })
  const body = Buffer.from([0, 255, 10, 13, 128])
  const response = await fetch(url, { method: 'POST', body })
  assert.equal(await response.text(), 'done')
  assert.deepEqual(
    upstream.seen.map((seen) => [seen.headers.authorization, seen.body.toString('hex')]),
    [
      ['Bearer sky-1', body.toString('hex')],
      ['Bearer sky-2', body.toString('hex')],
    ],
  )
  assert.deepEqual(sources['sky']?.renewals, ['always'])
  assert.deepEqual(replays, ['success'])
})
