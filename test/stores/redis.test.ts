import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { createClient } from '@redis/client'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { grantName } from '../../src/stores/grant-name.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { parseRedisUrl } from '../../src/stores/redis-url.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { noRedis, RedisServer } from '../helpers/redis-server.ts'
import { rejectsWith, testStore, type Backend } from './contract.ts'
import { markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }
const lease = 400

interface LogLine {
  readonly level: string
  readonly message: string
}

async function openRedis(t: Pick<TestContext, 'after'>, url: string, log: LogLine[] = []): Promise<RedisStore> {
  const store = await RedisStore.open({
    url,
    codec: documentCodec('ab'.repeat(32), []),
    clock: systemClock,
    lease,
    timeout: 500,
    log: (level, message) => log.push({ level, message }),
  })
  t.after(() => store.close())
  return store
}

async function admin(url: string) {
  const client = createClient({ url, RESP: 2 })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

if (noRedis === false) {
  let server: RedisServer
  let client: Awaited<ReturnType<typeof admin>>
  before(async () => {
    server = await RedisServer.start(['appendonly yes', 'appendfsync always'])
    client = await admin(`redis://127.0.0.1:${server.port}`)
  })
  after(async () => {
    client.destroy()
    await server.stop()
  })
  const prepare = async (): Promise<Backend> => {
    await client.sendCommand(['FLUSHALL'])
    const key = (id: GrantId) => `bearer-sidecar:{${grantName(id)}}:grant`
    return {
      open: (clock) =>
        RedisStore.open({
          url: `redis://127.0.0.1:${server.port}`,
          codec: documentCodec('ab'.repeat(32), []),
          clock,
          lease,
          log: () => undefined,
        }),
      lease,
      documents: {
        read: (id) => client.sendCommand<string>(['HGET', key(id), 'document']),
        write: async (id, text) => {
          await client.sendCommand(['HSET', key(id), 'document', text])
        },
      },
    }
  }
  testStore('redis', prepare)
} else testStore('redis', () => Promise.reject(new Error('unreachable')), { skip: noRedis })

describe('a redis store', { skip: noRedis, concurrency: 4 }, () => {
  it('keeps only sealed text, under keys that name no subject', async (t) => {
    const server = await RedisServer.start()
    t.after(() => server.stop())
    const store = await openRedis(t, `redis://127.0.0.1:${server.port}`)
    await store.save({ credential: 'sky', subject: 'person@example.org' }, markedGrant('SECRET'), undefined)
    const client = await admin(`redis://127.0.0.1:${server.port}`)
    t.after(() => client.destroy())
    const [key = ''] = await client.sendCommand<string[]>(['KEYS', '*'])
    const all = JSON.stringify(await client.sendCommand(['HGETALL', key]))
    assert.doesNotMatch(key + all, /SECRET|person/)
    assert.match(key, /^bearer-sidecar:\{sky\.[0-9a-f]{32}\}:grant$/)
  })

  it('refuses within moments when the server is down, and works again when it is back with its data', async (t) => {
    const server = await RedisServer.start(['appendonly yes', 'appendfsync always'])
    t.after(() => server.stop())
    const log: LogLine[] = []
    const store = await openRedis(t, `redis://127.0.0.1:${server.port}`, log)
    const version = await store.save(sky, markedGrant('one'), undefined)
    await server.kill()
    const began = performance.now()
    await rejectsWith('unavailable', store.load(sky))
    await rejectsWith('unavailable', store.save(sky, markedGrant('two'), version))
    await rejectsWith('unavailable', store.acquire(sky, 10_000))
    await rejectsWith('unavailable', store.ping())
    assert.ok(performance.now() - began < 2_500)
    await server.start()
    await eventually(() => store.ping())
    assert.deepEqual(await store.load(sky), { grant: markedGrant('one'), version })
    await (await store.acquire(sky, 5_000)).release()
    assert.deepEqual(
      log.map(({ level }) => level),
      ['warn', 'info'],
      'one line for the outage and one for its end',
    )
  })

  it('opens while the server is down and connects once it is there', async (t) => {
    const server = await RedisServer.start(['appendonly yes'])
    t.after(() => server.stop())
    await server.kill()
    const store = await openRedis(t, `redis://127.0.0.1:${server.port}`)
    const error = await rejectsWith('unavailable', store.load(sky))
    assert.match(error.message, /connection refused/)
    await server.start()
    await eventually(() => store.ping())
    assert.equal(await store.load(sky), undefined)
  })

  it('gives up on a server that takes the command and never answers, and can tell later that the save arrived', async (t) => {
    const server = await RedisServer.start(['appendonly yes'])
    t.after(() => server.stop())
    const store = await openRedis(t, `redis://127.0.0.1:${server.port}`)
    const version = await store.save(sky, markedGrant('one'), undefined)
    server.pause()
    const began = performance.now()
    await rejectsWith('unavailable', store.save(sky, markedGrant('two'), version))
    assert.ok(performance.now() - began < 3_000)
    server.resume()
    await eventually(() => store.ping())
    const next = await store.save(sky, markedGrant('two'), version)
    assert.deepEqual(await store.load(sky), { grant: markedGrant('two'), version: next })
  })

  it('finds a lease again that it was given without an answer', async (t) => {
    const server = await RedisServer.start()
    t.after(() => server.stop())
    const store = await RedisStore.open({
      url: `redis://127.0.0.1:${server.port}`,
      codec: documentCodec(null, []),
      clock: systemClock,
      lease: 60_000,
      timeout: 500,
      log: () => undefined,
    })
    t.after(() => store.close())
    server.pause()
    await rejectsWith('unavailable', store.acquire(sky, 10_000))
    server.resume()
    await eventually(() => store.ping())
    await (await store.acquire(sky, 1_000)).release()
  })

  it('gives a lease back once the server can be told', async (t) => {
    const server = await RedisServer.start(['appendonly yes', 'appendfsync always'])
    t.after(() => server.stop())
    const open = () =>
      RedisStore.open({
        url: `redis://127.0.0.1:${server.port}`,
        codec: documentCodec(null, []),
        clock: systemClock,
        lease: 60_000,
        timeout: 500,
        log: () => undefined,
      })
    const store = await open()
    t.after(() => store.close())
    const other = await open()
    t.after(() => other.close())
    const held = await store.acquire(sky, 1_000)
    await server.kill()
    await held.release()
    await server.start()
    await eventually(() => other.ping())
    await (await other.acquire(sky, 10_000)).release()
  })

  it('keeps its lease over a restart of a server that forgot it', async (t) => {
    const server = await RedisServer.start()
    t.after(() => server.stop())
    const url = `redis://127.0.0.1:${server.port}`
    const holder = await openRedis(t, url)
    const held = await holder.acquire(sky, 1_000)
    const client = await admin(url)
    t.after(() => client.destroy())
    await client.sendCommand(['FLUSHALL'])
    await eventually(async () => assert.notEqual(await client.sendCommand(['GET', 'bearer-sidecar:{sky}:lease']), null))
    assert.equal(held.lost.aborted, false)
    await held.release()
    assert.equal(await client.sendCommand(['GET', 'bearer-sidecar:{sky}:lease']), null)
  })

  it('says which right is missing, and never shows the password', async (t) => {
    const acl = 'user tenant on >p%40ss resetchannels ~bearer-sidecar:* +ping +info +hmget +hget +auth'
    const server = await RedisServer.start(['user default off', acl])
    t.after(() => server.stop())
    const store = await openRedis(t, `redis://tenant:p%2540ss@127.0.0.1:${server.port}`)
    assert.equal(await store.load(sky), undefined)
    const denied = await rejectsWith('read-only', store.save(sky, markedGrant('SECRET'), undefined))
    assert.match(denied.message, /\+eval/)
    const wrong = await openRedis(t, `redis://tenant:other%2540ss@127.0.0.1:${server.port}`)
    const refused = await rejectsWith('unavailable', wrong.load(sky))
    assert.match(refused.message, /user or password/)
    for (const { message } of [denied, refused, { message: store.description }])
      assert.doesNotMatch(message, /ss@|%40|%2540|SECRET/)
  })

  it('works with an ACL user that has no more than the documented rights', async (t) => {
    const rights = '+ping +info +scan +hmget +hget +del +eval +set +get +hset'
    const server = await RedisServer.start([
      'user default off',
      `user sidecar on >pw resetchannels ~bearer-sidecar:* ${rights}`,
    ])
    t.after(() => server.stop())
    const store = await openRedis(t, `redis://sidecar:pw@127.0.0.1:${server.port}/0`)
    await store.ping()
    const held = await store.acquire(sky, 1_000)
    const version = await store.save(sky, markedGrant('one'), undefined)
    await held.release()
    assert.deepEqual(await store.versions([sky]), [version])
    assert.deepEqual(await store.list(), [sky])
    await store.delete(sky)
    assert.deepEqual(await store.list(), [])
  })

  it('warns of a server that keeps nothing or may evict tokens', async (t) => {
    const server = await RedisServer.start(['maxmemory-policy allkeys-lru'])
    t.after(() => server.stop())
    const log: LogLine[] = []
    await openRedis(t, `redis://127.0.0.1:${server.port}`, log)
    assert.match(log.map(({ message }) => message).join('\n'), /appendonly yes[^]*noeviction/)
  })

  it('speaks TLS with a CA of its own, and refuses a certificate that it can not verify', async (t) => {
    const file = (name: string) => new URL(`../helpers/certs/${name}.pem`, import.meta.url).pathname
    const server = await RedisServer.start([
      'tls-port PORT',
      `tls-cert-file ${file('localhost.cert')}`,
      `tls-key-file ${file('localhost.key')}`,
      'tls-auth-clients no',
    ])
    t.after(() => server.stop())
    const store = await openRedis(t, `rediss://localhost:${server.port}?ca=${file('ca.cert')}`)
    await store.ping()
    const untrusting = await openRedis(t, `rediss://localhost:${server.port}`)
    const error = await rejectsWith('unavailable', untrusting.ping())
    assert.match(error.message, /not trusted.*\?ca=/)
    await assert.rejects(openRedis(t, `rediss://localhost:${server.port}?ca=/nowhere.pem`), /CA file \/nowhere\.pem/)
  })

  it('finds every grant of a cluster and saves, leases and lists in it', async (t) => {
    const server = await RedisServer.start(['cluster-enabled yes', 'cluster-node-timeout 1000'])
    t.after(() => server.stop())
    const client = await admin(`redis://127.0.0.1:${server.port}`)
    t.after(() => client.destroy())
    await client.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', '0', '16383'])
    await eventually(async () =>
      assert.match(await client.sendCommand<string>(['CLUSTER', 'INFO']), /cluster_state:ok/),
    )
    const store = await openRedis(t, `redis+cluster://127.0.0.1:${server.port}`)
    const ids = Array.from({ length: 20 }, (_, index): GrantId => ({ credential: 'sky', subject: `tenant ${index}` }))
    for (const id of ids) {
      const held = await store.acquire(id, 1_000)
      await store.save(id, markedGrant('token'), undefined)
      await held.release()
    }
    assert.equal((await store.list()).length, 20)
    assert.equal((await store.versions(ids)).filter((version) => version !== undefined).length, 20)
    await store.ping()
  })

  it('follows a failover that a Sentinel decides, with all that was saved', async (t) => {
    const master = await RedisServer.start(['repl-diskless-sync-delay 0'])
    t.after(() => master.stop())
    const replica = await RedisServer.start([`replicaof 127.0.0.1 ${master.port}`])
    t.after(() => replica.stop())
    const sentinel = await RedisServer.start(
      [
        `sentinel monitor main 127.0.0.1 ${master.port} 1`,
        'sentinel down-after-milliseconds main 1000',
        'sentinel failover-timeout main 1000',
      ],
      { sentinel: true },
    )
    t.after(() => sentinel.stop())
    const store = await openRedis(t, `redis+sentinel://127.0.0.1:${sentinel.port}/main`)
    const watcher = await admin(`redis://127.0.0.1:${sentinel.port}`)
    t.after(() => watcher.destroy())
    await watcher.sendCommand(['SENTINEL', 'DEBUG', 'INFO-PERIOD', '500', 'PING-PERIOD', '500'])
    // A failover needs a replica that the Sentinel has seen in step.
    await eventually(async () => {
      const text = JSON.stringify(await watcher.sendCommand(['SENTINEL', 'REPLICAS', 'main']))
      assert.match(text, /"master-link-status","ok"/)
    })
    const direct = await admin(`redis://127.0.0.1:${master.port}`)
    t.after(() => direct.destroy())
    await eventually(async () => {
      await direct.sendCommand(['SET', 'any', '1'])
      assert.equal(await direct.sendCommand(['WAIT', '1', '100']), 1)
    })
    const version = await store.save(sky, markedGrant('one'), undefined)
    await master.kill()
    await eventually(async () => assert.equal((await store.load(sky))?.version, version), 15_000)
    const next = await store.save(sky, markedGrant('two'), version)
    assert.equal((await store.load(sky))?.version, next)
  })
})

describe('store.url of redis', () => {
  const cases: [string, Partial<ReturnType<typeof parseRedisUrl>>][] = [
    [
      'redis://host',
      { kind: 'standalone', nodes: [{ host: 'host', port: 6379 }], tls: false, database: 0, label: 'host:6379' },
    ],
    [
      'rediss://user:p%40:w@host:7000/3',
      { tls: true, database: 3, login: { username: 'user', password: 'p@:w' }, label: 'TLS host:7000' },
    ],
    [
      'redis://:pw@[::1]:6380',
      { nodes: [{ host: '::1', port: 6380 }], login: { password: 'pw' }, label: '[::1]:6380' },
    ],
    ['redis://p@w@host', { login: { username: 'p@w' } }],
    ['valkeys://host', { tls: true }],
    [
      'redis+sentinel://u:p@a,b:5000/main/2?sentinelPassword=x',
      {
        kind: 'sentinel',
        nodes: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 5000 },
        ],
        masterName: 'main',
        database: 2,
        login: { username: 'u', password: 'p' },
        sentinelLogin: { password: 'x' },
      },
    ],
    [
      'rediss+cluster://a:1,b:2/?ca=/ca.pem',
      { kind: 'cluster', tls: true, ca: '/ca.pem', label: 'TLS cluster a:1,b:2' },
    ],
  ]
  for (const [url, expected] of cases) {
    it(`understands ${url}`, () => {
      const target = parseRedisUrl(url)
      for (const [name, value] of Object.entries(expected))
        assert.deepEqual(target[name as keyof typeof target], value, name)
    })
  }

  for (const url of [
    'http://SECRET@host',
    'SECRET',
    'redis://:SECRET@a,b',
    'redis+sentinel://:SECRET@a',
    'redis://:SECRET%@a',
    'redis://:SECRET@a:99999',
    'redis://:SECRET@a/x',
    'redis+cluster://:SECRET@a/1',
    'redis://:SECRET@a?password=SECRET',
  ]) {
    it(`refuses ${url} without showing it`, () => {
      assert.throws(
        () => parseRedisUrl(url),
        (error: Error) => /store\.url/.test(error.message) && !error.message.includes('SECRET'),
      )
    })
  }
})

async function eventually<T>(attempt: () => Promise<T>, limit = 8_000): Promise<T> {
  const end = performance.now() + limit
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
