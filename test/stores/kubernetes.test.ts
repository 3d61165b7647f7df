import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { grantName } from '../../src/stores/grant-name.ts'
import { leaseName } from '../../src/stores/kubernetes-lease.ts'
import { KubernetesStore } from '../../src/stores/kubernetes.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import * as certs from '../helpers/certs.ts'
import { KubernetesApiServer, shortHash } from '../helpers/kubernetes-api.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { rejectsWith, testStore } from './contract.ts'
import { markedGrant } from './grants.ts'

const sky: GrantId = { credential: 'sky' }
const secretName = 'bearer-sidecar-tokens'
const secretKey = `secrets/${secretName}`

async function cluster(t: Pick<TestContext, 'after'>, lease = 1_000) {
  const api = await KubernetesApiServer.start()
  const directory = tempDir(t)
  api.mountServiceAccount(directory)
  t.after(() => api.stop())
  const open = async (clock: Clock = systemClock) => {
    const codec = documentCodec(null, [])
    return KubernetesStore.open({
      secretName,
      codec,
      clock,
      lease,
      log: () => undefined,
      env: api.env,
      serviceAccountDirectory: directory,
    })
  }
  const openHere = async () => {
    const store = await open()
    t.after(() => store.close())
    return store
  }
  return { api, directory, open, openHere, lease }
}

testStore('kubernetes', async (t) => {
  const { api, open, lease } = await cluster(t)
  return {
    open,
    lease,
    documents: {
      read: (id) =>
        Promise.resolve(Buffer.from(api.secretData(secretName)[`${grantName(id)}.json`] ?? '', 'base64').toString()),
      write: (id, text) => {
        api.edit(secretKey, (secret) => {
          secret['data'] = {
            ...(secret['data'] as object),
            [`${grantName(id)}.json`]: Buffer.from(text).toString('base64'),
          }
        })
        return Promise.resolve()
      },
    },
  }
})

describe('a kubernetes store', { concurrency: 4 }, () => {
  it('creates the Secret at the first save and writes plain documents by key', async (t) => {
    const { api, openHere } = await cluster(t)
    const store = await openHere()
    await store.save(sky, markedGrant('one'), undefined)
    await store.save({ credential: 'sky', subject: 'tenant' }, markedGrant('two'), undefined)
    const secret = api.objects.get(secretKey)
    assert.equal(secret?.['type'], 'Opaque')
    assert.deepEqual(Object.keys(api.secretData(secretName)), ['sky.json', `sky.${shortHash('tenant', 32)}.json`])
  })

  it('keeps keys, labels and binary values that others put into the Secret', async (t) => {
    const { api, openHere } = await cluster(t)
    const store = await openHere()
    const version = await store.save(sky, markedGrant('one'), undefined)
    const binary = Buffer.from([0, 255, 254, 1]).toString('base64')
    api.edit(secretKey, (secret) => {
      secret['data'] = { ...(secret['data'] as object), 'theirs.bin': binary }
      secret.metadata['labels'] = { team: 'payments' }
    })
    await store.save(sky, markedGrant('two'), version)
    assert.equal(api.secretData(secretName)['theirs.bin'], binary)
    assert.deepEqual(api.objects.get(secretKey)?.metadata['labels'], { team: 'payments' })
    assert.deepEqual(await store.list(), [sky])
  })

  it('saves past writes to other keys that come in between', async (t) => {
    const { api, openHere } = await cluster(t)
    const stores = await Promise.all(Array.from({ length: 5 }, openHere))
    const saves = stores.map((store, index) => store.save({ credential: `c${index}` }, markedGrant('one'), undefined))
    const versions = await Promise.all(saves)
    assert.equal(Object.keys(api.secretData(secretName)).length, 5)
    assert.ok(
      api.requests.some(({ status }) => status === 409),
      'the writes met each other',
    )
    assert.deepEqual(await stores[0]!.versions([{ credential: 'c3' }]), [versions[3]])
  })

  it('looks for changes without fetching the content', async (t) => {
    const { api, openHere } = await cluster(t)
    const store = await openHere()
    const version = await store.save(sky, markedGrant('one'), undefined)
    await store.versions([sky])
    const before = api.requests.length
    for (let turn = 0; turn < 3; turn++) assert.deepEqual(await store.versions([sky]), [version])
    assert.equal(api.requests.length - before, 3, 'one small request each')
  })

  it('knows its own save again when the answer was lost', async (t) => {
    const { api, openHere } = await cluster(t)
    const store = await openHere()
    const version = await store.save(sky, markedGrant('one'), undefined)
    let lost = 0
    api.loseAnswer = ({ resource }) => resource === 'secrets' && lost++ === 0
    await rejectsWith('unavailable', store.save(sky, markedGrant('two'), version))
    const next = await store.save(sky, markedGrant('two'), version)
    assert.deepEqual(await store.load(sky), { grant: markedGrant('two'), version: next })
  })

  it('reads the service account token anew for each call', async (t) => {
    const { api, directory, openHere } = await cluster(t)
    const store = await openHere()
    await store.load(sky)
    api.token = 'service-account-token-2'
    const error = await rejectsWith('unavailable', store.load(sky))
    assert.match(error.message, /401/)
    assert.doesNotMatch(error.message, /service-account-token/)
    api.mountServiceAccount(directory)
    assert.equal(await store.load(sky), undefined)
  })

  it('refuses an API server whose certificate the cluster CA did not sign', async (t) => {
    const { api, directory, openHere } = await cluster(t)
    api.mountServiceAccount(directory, { ca: certs.selfSigned.cert })
    const store = await openHere()
    await rejectsWith('unavailable', store.load(sky))
    assert.equal(api.requests.length, 0)
    api.mountServiceAccount(directory)
    assert.equal(await store.load(sky), undefined, 'a rotated CA is taken up')
  })

  for (const [verb, resource, fault, next] of [
    [
      'get',
      'secrets',
      'unavailable',
      /may not get Secret tokens-ns\/bearer-sidecar-tokens \(403\).*verb get on resource secrets/,
    ],
    ['create', 'secrets', 'read-only', /kubectl -n tokens-ns create secret generic bearer-sidecar-tokens/],
    ['update', 'secrets', 'read-only', /verb update on resource secrets/],
    ['get', 'leases', 'unavailable', /Lease tokens-ns\/bearer-sidecar-tokens-sky .*verb get on resource leases/],
    ['create', 'leases', 'read-only', /verb create on resource leases/],
    ['update', 'leases', 'read-only', /verb update on resource leases/],
  ] as const) {
    it(`names the verb when ${verb} of ${resource} is forbidden`, async (t) => {
      const { api, openHere } = await cluster(t)
      const store = await openHere()
      if (verb === 'update') {
        await store.ping()
        await (await store.acquire(sky, 1_000)).release()
      }
      api.denied.add(`${verb} ${resource}`)
      const action =
        resource === 'secrets' ? store.save(sky, markedGrant('SECRET'), undefined) : store.acquire(sky, 500)
      const error = await rejectsWith(fault, action)
      assert.match(error.message, next)
      assert.doesNotMatch(error.message, /SECRET/)
    })
  }

  it('proves with a ping that the Secret can be written, without writing', async (t) => {
    const { api, openHere } = await cluster(t)
    const store = await openHere()
    await store.ping()
    assert.ok(api.objects.has(secretKey), 'a missing Secret is created')
    const version = api.objects.get(secretKey)?.metadata.resourceVersion
    const second = await openHere()
    await second.ping()
    assert.equal(api.objects.get(secretKey)?.metadata.resourceVersion, version)
    assert.ok(api.requests.some(({ verb, query }) => verb === 'update' && query === '?dryRun=All'))
    api.denied.add('update secrets')
    await rejectsWith('read-only', (await openHere()).ping())
  })

  it('explains an immutable Secret and one that is full', async (t) => {
    const { api, openHere } = await cluster(t)
    const store = await openHere()
    const version = await store.save(sky, markedGrant('one'), undefined)
    const large = await rejectsWith('unavailable', store.save(sky, markedGrant('x'.repeat(600_000)), version))
    assert.match(large.message, /1 MiB/)
    api.edit(secretKey, (secret) => (secret['immutable'] = true))
    const fixed = await rejectsWith('read-only', store.save(sky, markedGrant('two'), version))
    assert.match(fixed.message, /immutable/)
  })

  it('writes the Lease as client-go does, and frees it at release', async (t) => {
    const { api, openHere } = await cluster(t, 1_500)
    const store = await openHere()
    const held = await store.acquire(sky, 1_000)
    const key = 'leases/bearer-sidecar-tokens-sky'
    const spec = () => api.objects.get(key)?.['spec'] as Record<string, unknown>
    const { renewTime } = spec()
    assert.equal(spec()['leaseDurationSeconds'], 2)
    assert.notEqual(spec()['holderIdentity'], '')
    await until(() => spec()['renewTime'] !== renewTime)
    api.edit(key, (lease) => (lease.metadata['labels'] = { touched: 'by a person' }))
    const touched = spec()['renewTime']
    await until(() => spec()['renewTime'] !== touched)
    assert.equal(held.lost.aborted, false, 'a label is no other holder')
    await held.release()
    assert.equal(spec()['holderIdentity'], '')
    await (await store.acquire(sky, 1_000)).release()
    assert.equal(spec()['leaseTransitions'], 1)
  })

  it('refuses to open outside of a pod', async (t) => {
    const directory = tempDir(t)
    const options = {
      secretName,
      codec: documentCodec(null, []),
      clock: systemClock,
      lease: 1_000,
      log: () => undefined,
    }
    const outside = await rejectsWith(
      'unavailable',
      KubernetesStore.open({ ...options, env: {}, serviceAccountDirectory: directory }),
    )
    assert.match(outside.message, /only inside a pod/)
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '1' }
    const unmounted = await rejectsWith(
      'unavailable',
      KubernetesStore.open({ ...options, env, serviceAccountDirectory: directory }),
    )
    assert.match(unmounted.message, /automountServiceAccountToken/)
    writeFileSync(join(directory, 'namespace'), 'ns')
    writeFileSync(join(directory, 'token'), 't')
    writeFileSync(join(directory, 'ca.crt'), certs.ca)
    const store = await KubernetesStore.open({ ...options, env, serviceAccountDirectory: directory })
    t.after(() => store.close())
    await rejectsWith('unavailable', store.load(sky))
    rmSync(join(directory, 'token'))
    await rejectsWith('unavailable', store.load(sky))
  })

  it('gives each credential and subject a Lease name that Kubernetes takes', () => {
    assert.equal(leaseName('s', sky), 's-sky')
    assert.equal(leaseName('s', { credential: 'sky', subject: 'x' }), `s-sky-${shortHash('x', 16)}`)
    assert.equal(leaseName('s', { credential: 'Sky_2' }), `s-sky-2-${shortHash('Sky_2', 8)}`)
    assert.equal(leaseName('s', { credential: 'a-' }), `s-a-${shortHash('a-', 8)}`)
    assert.notEqual(leaseName('s', { credential: 'SKY' }), leaseName('s', { credential: 'sky' }))
  })
})

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20))
}
