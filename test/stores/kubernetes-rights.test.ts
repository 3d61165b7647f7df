import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { KubernetesStore } from '../../src/stores/kubernetes.ts'
import * as certs from '../helpers/certs.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { markedGrant } from './grants.ts'
import { cluster, secretKey, secretName, sky } from './kubernetes-fixture.ts'
import { rejectsWith } from './store-assertions.ts'

describe('what a kubernetes store may do', { concurrency: 4 }, () => {
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
})
