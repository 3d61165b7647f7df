import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grantName } from '../../src/stores/grant-name.ts'
import { leaseName } from '../../src/stores/kubernetes-lease.ts'
import * as certs from '../helpers/certs.ts'
import { shortHash } from '../helpers/kubernetes-api.ts'
import { testStore } from './contract.ts'
import { markedGrant } from './grants.ts'
import { cluster, secretKey, secretName, sky } from './kubernetes-fixture.ts'
import { rejectsWith } from './store-assertions.ts'

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
