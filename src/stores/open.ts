import type { Clock } from '../clock.ts'
import type { StoreConfig } from '../config/schema.ts'
import { documentCodec } from './document-codec.ts'
import type { FileSystem } from './file-system.ts'
import { MemoryStore } from './memory.ts'
import type { StoreLog, TokenStore } from './token-store.ts'

export interface StoreDependencies {
  readonly clock: Clock
  readonly log?: StoreLog
  /** Where a pod finds its API server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where a pod finds its token, CA and namespace; default /var/run/secrets/kubernetes.io/serviceaccount. */
  readonly serviceAccountDirectory?: string
  /** For tests that let a system call fail. */
  readonly files?: FileSystem
}

/** The configured store. Rejects with StoreError when it can't be used at all; one that is only out of reach now opens. */
export async function openStore(config: StoreConfig, deps: StoreDependencies): Promise<TokenStore> {
  const { clock, log = () => undefined } = deps
  const codec = documentCodec(config.encryptionKey, config.previousEncryptionKeys)
  switch (config.type) {
    case 'memory':
      return new MemoryStore(clock)
    case 'file': {
      const { directory, lease } = config
      const { FileStore } = await import('./file.ts')
      return FileStore.open({ directory, codec, clock, lease, log, ...(deps.files && { files: deps.files }) })
    }
    case 'redis': {
      const { url, lease } = config
      const { RedisStore } = await import('./redis.ts')
      return RedisStore.open({ url, codec, clock, lease, log })
    }
    case 'kubernetes': {
      const { secretName, lease } = config
      const { KubernetesStore } = await import('./kubernetes.ts')
      const { env = {}, serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount' } = deps
      return KubernetesStore.open({ secretName, codec, clock, lease, log, env, serviceAccountDirectory })
    }
  }
}
