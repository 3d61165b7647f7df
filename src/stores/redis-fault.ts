import { StoreError } from './token-store.ts'

/** What to do about the first word of an error reply. The rest of a reply may quote the command, and so a document: it goes nowhere. */
const replies: Readonly<Record<string, string>> = {
  NOAUTH: 'it asks for a password: put user and password into store.url',
  WRONGPASS: 'it refused the user or password of store.url',
  NOPERM:
    'its ACL does not let this user work: allow ~bearer-sidecar:* and +ping +info +scan +hmget +hget +del +eval +set +get +hset (Sentinel, Cluster: +wait)',
  OOM: 'its memory is full: raise maxmemory',
  MISCONF: 'it cannot write to its disk: see its log',
  LOADING: 'it is still loading its data',
  MASTERDOWN: 'it is a replica that lost its master',
  CLUSTERDOWN: 'the cluster is down: see cluster info',
  NOREPLICAS: 'too few replicas are connected (min-replicas-to-write)',
  TRYAGAIN: 'the slot is being moved',
  UNKILLABLE: 'it is busy',
  BUSY: 'it is busy with a script',
}
const readOnly = ['READONLY', 'NOPERM', 'MISCONF']

/** The StoreError for whatever went wrong between us and Redis. */
export function redisFault(error: unknown, label: string): StoreError {
  if (error instanceof StoreError) return error
  const message = error instanceof Error ? error.message : ''
  const place = `Redis at ${label}`
  const word = /^[A-Z]{2,}(?= |$)/.exec(message)?.[0]
  if (word === 'WRONGTYPE')
    return new StoreError(
      'damaged',
      `A key of ${place} is of another type; it was left as it is. See docs/operations.md for the keys.`,
    )
  if (word === 'READONLY')
    return new StoreError(
      'read-only',
      `${place} is a read-only replica: set store.url to the master, or use redis+sentinel://.`,
    )
  if (word !== undefined) {
    const why = replies[word] ?? `it answered ${word}`
    return new StoreError(readOnly.includes(word) ? 'read-only' : 'unavailable', `${place} can't be used: ${why}.`)
  }
  return new StoreError(
    'unavailable',
    `${place} is out of reach: ${networkReason(error)}. It is tried again by itself.`,
  )
}

function networkReason(error: unknown): string {
  const code = findCode(error)
  switch (code) {
    case undefined:
      return error instanceof Error && error.name !== 'Error' ? error.name : 'no connection'
    case 'ECONNREFUSED':
      return 'connection refused'
    case 'ENOTFOUND':
      return 'its name is unknown'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `its certificate is not trusted (${code}); add ?ca=FILE to store.url, or set NODE_EXTRA_CA_CERTS`
    default:
      return code
  }
}

function findCode(error: unknown): string | undefined {
  let current = error
  for (let depth = 0; depth < 4 && current instanceof Error; depth++) {
    const { code } = current as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    current = current instanceof AggregateError ? current.errors[0] : current.cause
  }
  return undefined
}
