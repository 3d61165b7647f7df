import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { GrantId } from '../../src/stores/token-store.ts'
import { noRedis, RedisServer } from '../helpers/redis-server.ts'
import { markedGrant } from './grants.ts'
import { admin, eventually, openRedis } from './redis-fixture.ts'
import { rejectsWith } from './store-assertions.ts'

const sky: GrantId = { credential: 'sky' }

describe('a redis store over TLS, a cluster and Sentinels', { skip: noRedis, concurrency: 3 }, () => {
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
    await eventually(() => store.ping())
    const untrusting = await openRedis(t, `rediss://localhost:${server.port}`)
    await eventually(async () => {
      const error = await rejectsWith('unavailable', untrusting.ping())
      assert.match(error.message, /not trusted.*\?ca=/)
    })
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
    await eventually(() => store.ping())
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
