import type { Clock } from '../clock.ts'
import type { Grant } from '../tokens/grant.ts'
import { nextRevision, textVersion, type DocumentCodec } from './document-codec.ts'
import { grantName, isGrantName } from './grant-name.ts'
import { RedisConnection } from './redis-connection.ts'
import { redisDrivers } from './redis-driver.ts'
import { RedisLeases } from './redis-lease.ts'
import { saveScript } from './redis-scripts.ts'
import { parseRedisUrl } from './redis-url.ts'
import { conflict } from './store-errors.ts'
import {
  StoreError,
  type GrantId,
  type Lease,
  type Stored,
  type StoreLog,
  type TokenStore,
  type Version,
} from './token-store.ts'
import { UnconfirmedWrites } from './unconfirmed-writes.ts'

export interface RedisStoreOptions {
  readonly url: string
  readonly codec: DocumentCodec
  readonly clock: Clock
  /** Milliseconds. */
  readonly lease: number
  readonly log: StoreLog
  /** Longest wait for a connection or an answer, milliseconds. */
  readonly timeout?: number
}

const prefix = 'bearer-sidecar:'
/** The braces make all keys of one grant live on one node of a cluster. */
const grantKey = (name: string) => `${prefix}{${name}}:grant`
const leaseKey = (name: string) => `${prefix}{${name}}:lease`
const grantKeyPattern = /^bearer-sidecar:\{([^}]+)\}:grant$/
/** Long enough for a server that is there, short enough for a refresh that must not hang on one that is not. */
const defaultTimeout = 2_000
/** How long a save waits until a replica has it, in milliseconds. */
const replicaPatience = 300
/** How many commands are sent at a time. */
const batch = 500

/** Redis or Valkey: a hash of `document` and `version` per grant, and an expiring key per lease. */
export class RedisStore implements TokenStore {
  readonly description: string
  readonly #redis: RedisConnection
  readonly #replicated: boolean
  readonly #codec: DocumentCodec
  readonly #log: StoreLog
  readonly #leases: RedisLeases
  readonly #unconfirmed = new UnconfirmedWrites()

  /** Rejects with StoreError when the URL can't be understood or the client is not installed; a server that is down is no reason. */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const target = parseRedisUrl(options.url)
    const { clock, log, timeout = defaultTimeout } = options
    const redis = new RedisConnection({
      label: target.label,
      make: await redisDrivers(target, timeout),
      clock,
      log,
      timeout,
    })
    await redis.open()
    const store = new RedisStore(redis, target.kind !== 'standalone', options)
    await store.#warnOfLoss().catch(() => undefined)
    return store
  }

  private constructor(redis: RedisConnection, replicated: boolean, { codec, clock, lease, log }: RedisStoreOptions) {
    this.description = `redis ${redis.label}, ${codec.sealed ? 'sealed' : 'plain'}`
    this.#redis = redis
    this.#replicated = replicated
    this.#codec = codec
    this.#log = log
    this.#leases = new RedisLeases(redis, clock, lease)
  }

  async load(id: GrantId): Promise<Stored | undefined> {
    const name = grantName(id)
    const key = grantKey(name)
    const [document, version] = (await this.#redis.command(key, ['HMGET', key, 'document', 'version'])) as (
      string | null
    )[]
    this.#unconfirmed.settle(name)
    if (document === null || document === undefined) return undefined
    const { grant } = await this.#codec.decode(document, name, this.#place(name))
    return { grant, version: version ?? '' }
  }

  async save(id: GrantId, grant: Grant, expected: Version | undefined): Promise<Version> {
    const name = grantName(id)
    const key = grantKey(name)
    const document = await this.#codec.encode({ id, revision: nextRevision(expected), grant })
    const version = textVersion(document)
    const allowed = [expected ?? '', ...this.#unconfirmed.alternatives(name, expected)]
    const command = ['EVAL', saveScript, '1', key, version, document, ...allowed]
    const saved = await this.#redis.command(key, command).catch((error: unknown) => {
      this.#unconfirmed.note(name, expected, version)
      throw error
    })
    this.#unconfirmed.settle(name)
    if (saved !== 1) throw conflict(this.#place(name))
    if (this.#replicated) await this.#awaitReplica(key)
    return version
  }

  async delete(id: GrantId): Promise<void> {
    const name = grantName(id)
    await this.#redis.command(grantKey(name), ['DEL', grantKey(name)])
    this.#unconfirmed.settle(name)
  }

  /** A document that can't be read, and so doesn't tell its subject, is left out with a warning. */
  async list(): Promise<GrantId[]> {
    const ids: GrantId[] = []
    for (const key of await this.#redis.keys(`${prefix}{*}:grant`)) {
      const name = grantKeyPattern.exec(key)?.[1] ?? ''
      if (!isGrantName(name)) continue
      const id = name.includes('.') ? await this.#readId(key, name) : { credential: name }
      if (id !== undefined) ids.push(id)
    }
    return ids
  }

  async versions(ids: readonly GrantId[]): Promise<(Version | undefined)[]> {
    const versions: (Version | undefined)[] = []
    const read = async (id: GrantId) => {
      const key = grantKey(grantName(id))
      return ((await this.#redis.command(key, ['HGET', key, 'version'])) as string | null) ?? undefined
    }
    for (let start = 0; start < ids.length; start += batch) {
      versions.push(...(await Promise.all(ids.slice(start, start + batch).map(read))))
    }
    return versions
  }

  acquire(id: GrantId, patience: number): Promise<Lease> {
    return this.#leases.acquire(leaseKey(grantName(id)), patience)
  }

  async ping(): Promise<void> {
    const key = `${prefix}probe`
    await this.#redis.command(key, ['SET', key, '1', 'PX', '1000'])
  }

  close(): Promise<void> {
    this.#leases.close()
    this.#redis.close()
    return Promise.resolve()
  }

  #place(name: string): string {
    return `Redis key ${grantKey(name)} at ${this.#redis.label}`
  }

  async #readId(key: string, name: string): Promise<GrantId | undefined> {
    const document = (await this.#redis.command(key, ['HGET', key, 'document'])) as string | null
    if (document === null) return undefined
    try {
      return (await this.#codec.decode(document, name, this.#place(name))).id
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      this.#log('warn', error.message)
      return undefined
    }
  }

  /**
   * Replication is asynchronous: without this, a failover right after a rotation brings the spent refresh token back. The save stands
   * whether or not a replica has it in time, since the old token is spent either way.
   */
  async #awaitReplica(key: string): Promise<void> {
    const reached = await this.#redis.command(key, ['WAIT', '1', String(replicaPatience)]).catch(() => 0)
    if (reached === 0)
      this.#log('warn', 'no Redis replica has the last save yet: a failover now would lose it', { key })
  }

  /** A save is only as durable as the server; where it says that it is not, say so once. */
  async #warnOfLoss(): Promise<void> {
    const persistence = String(await this.#redis.command(undefined, ['INFO', 'persistence']))
    const memory = String(await this.#redis.command(undefined, ['INFO', 'memory']))
    if (persistence.includes('aof_enabled:0')) {
      this.#log(
        'warn',
        'Redis keeps no append-only file: a crash of the server loses the last rotated refresh tokens. Set appendonly yes.',
      )
    }
    if (memory.includes('maxmemory_policy:allkeys-')) {
      this.#log('warn', 'Redis may evict tokens when its memory is full. Set maxmemory-policy noeviction.')
    }
  }
}
