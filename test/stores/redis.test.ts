import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { grantName } from '../../src/stores/grant-name.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { noRedis, RedisServer } from '../helpers/redis-server.ts'
import { testStore } from './contract.ts'
import { rejectsWith, type Backend } from './store-assertions.ts'
import { markedGrant } from './grants.ts'
import { admin, eventually, lease, openRedis, type LogLine } from './redis-fixture.ts'

const sky: GrantId = { credential: 'sky' }
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
    const store = await openRedis(t, `redis://127.0.0.1:${server.port}`, [], { lease: 60_000, timeout: 500 })
    await eventually(() => store.ping())
    server.pause()
    await rejectsWith('unavailable', store.acquire(sky, 10_000))
    server.resume()
    await eventually(() => store.ping())
    await (await store.acquire(sky, 1_000)).release()
  })

  it('gives a lease back once the server can be told', async (t) => {
    const server = await RedisServer.start(['appendonly yes', 'appendfsync always'])
    t.after(() => server.stop())
    const url = `redis://127.0.0.1:${server.port}`
    const store = await openRedis(t, url, [], { lease: 60_000 })
    const other = await openRedis(t, url, [], { lease: 60_000 })
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
    const holder = await openRedis(t, url, [], { lease: 2_000 })
    const held = await holder.acquire(sky, 1_000)
    const client = await admin(url)
    t.after(() => client.destroy())
    await client.sendCommand(['FLUSHALL'])
    await eventually(async () => {
      assert.notEqual(await client.sendCommand(['GET', 'bearer-sidecar:{sky}:lease']), null)
    })
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
})
