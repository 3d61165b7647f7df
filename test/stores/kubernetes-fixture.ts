import type { TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { KubernetesStore } from '../../src/stores/kubernetes.ts'
import type { GrantId } from '../../src/stores/token-store.ts'
import { KubernetesApiServer } from '../helpers/kubernetes-api.ts'
import { tempDir } from '../helpers/temp-dir.ts'

export const sky: GrantId = { credential: 'sky' }
export const secretName = 'bearer-sidecar-tokens'
export const secretKey = `secrets/${secretName}`

/** An API server, a pod's files, and the means to open stores in that pod. */
export async function cluster(t: Pick<TestContext, 'after'>, lease = 1_000) {
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
