import type { Finding } from './problems.ts'
import type { Config } from './schema.ts'
import { faultOfSecretUrl } from './urls.ts'

/** The store, its key, and where notices go. */
export function storeFindings({ store, credentials, notify }: Config): Finding[] {
  const findings: Finding[] = []
  const longest = Math.max(0, ...Object.values(credentials).map(({ refresh }) => refresh.timeout))
  if (store.lease <= longest) {
    findings.push({ path: ['store', 'lease'], message: 'must be longer than every refresh.timeout' })
  }
  if ((store.type === 'file' || store.type === 'redis') && store.encryptionKey === null) {
    const message = 'is not set: tokens are stored as plain JSON; set BEARER_SIDECAR_KEY (openssl rand -base64 32)'
    findings.push({ path: ['store', 'encryptionKey'], message, severity: 'warning', at: 'key' })
  }
  const keys = [
    { path: ['store', 'encryptionKey'], key: store.encryptionKey },
    ...store.previousEncryptionKeys.map((key, index) => ({ path: ['store', 'previousEncryptionKeys', index], key })),
  ]
  for (const { path, key } of keys) {
    if (key === null || isWholeKey(key) || key.length >= 16) continue
    const message = 'is a passphrase of fewer than 16 characters; better 32 random bytes (openssl rand -base64 32)'
    findings.push({ path, message, severity: 'warning' })
  }
  if (store.type === 'redis' && !/^rediss?\b[^:/]*:\/\//i.test(store.url)) {
    findings.push({ path: ['store', 'url'], message: 'must be a redis:// or rediss:// URL' })
  }
  const webhook = notify.webhook === null ? undefined : faultOfSecretUrl(notify.webhook)
  if (webhook !== undefined) findings.push({ path: ['notify', 'webhook'], message: webhook })
  return findings
}

/** 32 bytes in hex or base64. */
const isWholeKey = (key: string) => /^[0-9a-f]{64}$/i.test(key) || /^[\w+/-]{43}=?$/.test(key)
