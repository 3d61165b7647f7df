import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../src/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openDirectCredentials } from '../../src/direct-credentials.ts'
import type { SimulatorOptions } from '../../src/simulator/settings.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { noRedis, RedisServer } from '../helpers/redis-server.ts'
import { skyStage, startSidecar, type Sidecar } from '../helpers/start-app.ts'
import { Traffic } from '../helpers/traffic.ts'

interface Stage {
  readonly simulator: Simulator
  readonly config: object
  readonly replicas: readonly Sidecar[]
}

/** Two replicas on one store; each refresh rotates, and a refresh token presented twice ends the grant. */
async function twoReplicas(
  t: TestContext,
  store: object,
  options: Partial<SimulatorOptions> = {},
  over: object = {},
): Promise<Stage> {
  const { simulator, directory, config } = await skyStage(t, options, {
    refresh: { preserveRefreshToken: false },
    ...over,
  })
  const shared = { ...config, store: { directory: join(directory, 'tokens'), ...store } }
  const replicas = await Promise.all(
    ['a', 'b'].map((name) => {
      const home = join(directory, name)
      mkdirSync(home)
      return startSidecar(t, shared, { directory: home })
    }),
  )
  return { simulator, config: shared, replicas }
}

/** Refreshes as the command line does while no sidecar answers: from the store, in a round of its own. */
async function refreshBeside({ directory }: Sidecar): Promise<void> {
  const file = join(directory, 'bearer-sidecar.yaml')
  const { config } = await loadConfig({ file, env: {}, cwd: directory })
  const direct = await openDirectCredentials(config, systemClock, () => 'http://localhost/callback', {})
  try {
    await direct.credentials.refresh('sky')
  } finally {
    assert.deepEqual(await direct.close(), [])
  }
}

/** Bearer tokens that reached the API through a request of this replica. */
function tokensOf(simulator: Simulator, replica: Sidecar): Set<string> {
  const host = new URL(replica.url).port
  const seen = simulator.requests.filter(({ target }) => target.includes(`replica=${host}`))
  return new Set(seen.map(({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('Authorization') + 1] ?? ''))
}

async function untilStatus(url: string, status: number, deadline: number): Promise<number> {
  const began = performance.now()
  for (;;) {
    const response = await fetch(`${url}/echo`)
    await response.arrayBuffer()
    const took = performance.now() - began
    if (response.status === status) return took
    assert.ok(took < deadline, `still ${response.status} after ${Math.round(took)} ms`)
    await pause(50)
  }
}

interface Kind {
  readonly name: string
  readonly skip: string | false
  readonly store: (t: TestContext) => Promise<object>
}

const kinds: readonly Kind[] = [
  { name: 'a folder', skip: false, store: () => Promise.resolve({ type: 'file' }) },
  {
    name: 'Redis',
    skip: noRedis,
    store: async (t) => storeAt(await startRedis(t)),
  },
]

/** Keeps what it confirmed through a SIGKILL. */
async function startRedis(t: TestContext): Promise<RedisServer> {
  const redis = await RedisServer.start(['appendonly yes', 'appendfsync always'])
  t.after(() => redis.stop())
  return redis
}

const storeAt = ({ port }: RedisServer) => ({ type: 'redis', url: `redis://127.0.0.1:${port}` })

for (const { name, skip, store } of kinds) {
  test(
    `two replicas and a command share one-second tokens through ${name}: no reuse, no failed request`,
    { skip },
    async (t) => {
      const { simulator, replicas } = await twoReplicas(t, await store(t), { accessTokenTtl: 1_000 })
      const traffic = new Traffic()
      for (const replica of replicas) traffic.add(replica.url, 4)
      for (let round = 0; round < 8; round++) {
        await pause(700)
        const [first] = replicas
        if (first) await refreshBeside(first)
      }
      await traffic.stop()
      assert.deepEqual(traffic.failures, [])
      assert.ok(traffic.requests > 300, `${traffic.requests} requests`)
      assert.equal(simulator.reuseEvents, 0)
      assert.deepEqual(new Set(simulator.tokenRequests.map(({ outcome }) => outcome)), new Set(['issued']))
      const [a, b] = replicas.map((replica) => tokensOf(simulator, replica))
      const shared = [...(a ?? [])].filter((token) => b?.has(token)).length
      assert.ok(shared >= 4, `${shared} tokens were used by both replicas`)
    },
  )

  test(
    `a token that a rotation elsewhere revoked is replaced from ${name} without a failed request`,
    { skip },
    async (t) => {
      const { simulator, replicas } = await twoReplicas(t, await store(t), { refreshRevokesAccessTokens: true })
      const traffic = new Traffic()
      for (const replica of replicas) traffic.add(replica.url, 2)
      for (let round = 0; round < 3; round++) {
        await pause(200)
        await replicas[round % 2]?.app.credentials.refresh('sky')
      }
      await pause(200)
      await traffic.stop()
      assert.deepEqual(traffic.failures, [])
      assert.equal(simulator.reuseEvents, 0)
      // The first token and one for each round: the replica that was told of the revocation by a 401 asked for none.
      assert.equal(simulator.tokenRequests.length, 4)
    },
  )

  test(`a login on one replica is noticed by the other through ${name} within 5 s`, { skip }, async (t) => {
    const { simulator, replicas } = await twoReplicas(t, await store(t), { autoConsent: true }, { refreshToken: '' })
    const [a, b] = replicas as [Sidecar, Sidecar]
    await untilStatus(b.url, 503, 1_000)
    assert.equal((await fetch(`${a.adminUrl}/credentials/sky/authorize`)).status, 200)
    assert.ok((await untilStatus(b.url, 200, 6_000)) < 5_000)
    // And an import on the other, while a token is alive.
    const { accessToken, refreshToken } = simulator.seedCustomer()
    const document = JSON.stringify({ access_token: accessToken, expires_in: 3600, refresh_token: refreshToken })
    const put = { method: 'PUT', body: document, headers: { 'content-type': 'application/json' } }
    assert.equal((await fetch(`${b.adminUrl}/credentials/sky/token`, put)).status, 200)
    const began = performance.now()
    const uses = () => simulator.requests.at(-1)?.rawHeaders.includes(`Bearer ${accessToken}`) ?? false
    do await untilStatus(a.url, 200, 1_000)
    while (!uses() && performance.now() - began < 6_000)
    assert.ok(performance.now() - began < 5_000)
    assert.equal(simulator.reuseEvents, 0)
  })
}

test('two replicas lose no grant and no request while Redis restarts under them', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t)
  const { simulator, replicas } = await twoReplicas(t, storeAt(redis), { accessTokenTtl: 1_000 })
  const traffic = new Traffic()
  for (const replica of replicas) traffic.add(replica.url, 3)
  const restarts = 3
  for (let restart = 0; restart < restarts; restart++) {
    await pause(800 + 300 * restart)
    await redis.kill()
    await pause(300)
    await redis.start()
  }
  await pause(1_500)
  await traffic.stop()
  // A token that dies on its way, while none can be had, is the API's to refuse: its answer passes and says so.
  const refused = traffic.failures.filter((failure) => failure.startsWith('401 refresh-failed'))
  assert.deepEqual(traffic.failures, refused)
  assert.ok(refused.length <= 6 * restarts, `${refused.length} refused`)
  assert.equal(simulator.reuseEvents, 0)
})

test('while Redis is away a token that lives is served at once', { skip: noRedis }, async (t) => {
  const redis = await startRedis(t)
  const { simulator, replicas } = await twoReplicas(t, storeAt(redis))
  await Promise.all(replicas.map(({ url }) => untilStatus(url, 200, 5_000)))
  await redis.kill()
  const traffic = new Traffic()
  for (const replica of replicas) traffic.add(replica.url, 2)
  await pause(2_500)
  await traffic.stop()
  assert.deepEqual(traffic.failures, [])
  assert.ok(traffic.slowest < 1_000, `${traffic.slowest} ms`)
  await redis.start()
  // A rejected token needs the store: it is there again.
  simulator.revokeAccessTokens()
  await Promise.all(replicas.map(({ url }) => untilStatus(url, 200, 15_000)))
  assert.equal(simulator.reuseEvents, 0)
})

test(
  'a refresh whose answer comes while Redis restarts is saved, and both replicas go on',
  { skip: noRedis },
  async (t) => {
    const redis = await startRedis(t)
    const { simulator, replicas } = await twoReplicas(t, storeAt(redis), { accessTokenTtl: 2_000 })
    const [a, b] = replicas as [Sidecar, Sidecar]
    await Promise.all(replicas.map(({ url }) => untilStatus(url, 200, 5_000)))
    simulator.inject('token-slow=600ms@1')
    const before = simulator.tokenRequests.length
    const refreshed = a.app.credentials.refresh('sky')
    while (simulator.tokenRequests.length === before) await pause(5)
    await redis.kill()
    await pause(900)
    await redis.start()
    await refreshed
    const began = performance.now()
    while (a.app.credentials.list()[0]?.unsaved === true && performance.now() - began < 10_000) await pause(50)
    assert.equal(a.app.credentials.list()[0]?.unsaved, false)
    const traffic = new Traffic()
    traffic.add(a.url, 2)
    traffic.add(b.url, 2)
    await pause(4_500)
    await traffic.stop()
    assert.deepEqual(traffic.failures, [])
    assert.equal(simulator.reuseEvents, 0)
  },
)
