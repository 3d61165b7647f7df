import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Command } from '../helpers/command.ts'
import { skyStage } from '../helpers/start-app.ts'
import { Caller, get } from '../proxy/harness.ts'
import { message, open, refusal, startWebSocketServer } from '../proxy/websockets.ts'

const asked = get(
  '/chat',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
)

test('WebSockets of a running sidecar carry its token, are counted and logged, and do not spoil its end', async (t) => {
  const stage = await skyStage(t)
  let refused = 0
  const upstream = await startWebSocketServer(t, {
    verifyClient: (_request: unknown, done: (accepts: boolean, status: number) => void) => done(refused++ > 0, 401),
  })
  const routes = [{ path: '/', name: 'chat', upstream: upstream.url, credential: 'sky', websocket: true }]
  writeFileSync(
    join(stage.directory, 'bearer-sidecar.yaml'),
    JSON.stringify({ ...stage.config, routes, log: { level: 'info', format: 'json' } }),
  )
  const sidecar = new Command(t, stage.directory, ['start'])
  const port = Number(new URL(await sidecar.url()).port)

  const { peer } = await open(t, port, '/chat?secret=1')
  peer.send('hello')
  assert.equal((await message(peer)).data.toString(), 'hello')
  assert.match(upstream.seen[0]?.headers.authorization ?? '', /^Bearer \S+$/)
  peer.close()
  const line = await sidecar.seen(/.*"msg":"request".*/)
  const { route, method, path, status, replay } = JSON.parse(line[0]) as Record<string, unknown>
  assert.deepEqual(
    { route, method, path, status, replay },
    { route: 'chat', method: 'GET', path: '/chat', status: 101, replay: 'success' },
  )
  assert.equal((await refusal(t, port, '/chat', { headers: { Origin: 'https://evil.example' } })).status, 403)
  const metrics = await (await fetch(`${await sidecar.url('admin')}/metrics`)).text()
  assert.match(metrics, /bearer_sidecar_requests_total\{route="chat",method="GET",status="101"\} 1\n/)
  assert.match(metrics, /bearer_sidecar_replays_total\{route="chat",outcome="success"\} 1\n/)

  // Answers no close frame.
  const stubborn = new Caller(port).write(asked)
  t.after(() => stubborn.close())
  assert.equal((await stubborn.answer()).status, 101)
  const since = performance.now()
  sidecar.child.kill('SIGTERM')
  assert.equal(await sidecar.exit, 0, sidecar.output)
  assert.ok(performance.now() - since < 6_000)
})
