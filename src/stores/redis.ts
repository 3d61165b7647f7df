import { randomUUID } from 'node:crypto'
import { sleep, type Clock } from '../clock.ts'
import type { Grant } from '../tokens/grant.ts'
import { nextRevision, textVersion, type DocumentCodec } from './document-codec.ts'
import { grantName, isGrantName } from './grant-name.ts'
import { keepLease } from './kept-lease.ts'
import { LocalLock } from './local-lock.ts'
import { RedisConnection } from './redis-connection.ts'
import { redisDrivers } from './redis-driver.ts'
import { releaseScript, leaseScript, saveScript } from './redis-scripts.ts'
import { parseRedisUrl } from './redis-url.ts'
import { conflict, leaseTimeout } from './store-errors.ts'
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
/** How many commands are sent at a time. */
const batch = 500

/** Redis or Valkey: a hash of `document` and `version` per grant, and an expiring key per lease. */
export class RedisStore implements TokenStore {
  readonly description: string
  readonly #redis: RedisConnection
  readonly #codec: DocumentCodec
  readonly #clock: Clock
  readonly #lease: number
  readonly #log: StoreLog
  readonly #local: LocalLock
  /** Owner names under which an acquire() failed without an answer: the lease may have been given all the same, and is then ours. */
  readonly #undecided = new Map<string, string>()
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
    const store = new RedisStore(redis, options)
    await store.#warnOfLoss().catch(() => undefined)
    return store
  }

  private constructor(redis: RedisConnection, { codec, clock, lease, log }: RedisStoreOptions) {
    this.description = `redis ${redis.label}, ${codec.sealed ? 'sealed' : 'plain'}`
    this.#redis = redis
    this.#codec = codec
    this.#clock = clock
    this.#lease = lease
    this.#log = log
    this.#local = new LocalLock(clock)
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

  async acquire(id: GrantId, patience: number): Promise<Lease> {
    const name = grantName(id)
    const key = leaseKey(name)
    const began = this.#clock.monotonic()
    const release = await this.#local.acquire(name, patience).catch((cause: unknown) => {
      throw leaseTimeout(this.#place(name), this.#clock.monotonic() - began, cause)
    })
    // A name of its own for each lease: a release that was held up on its way can't hit a later lease.
    const owner = this.#undecided.get(name) ?? randomUUID()
    this.#undecided.delete(name)
    const takeOrRenew = async () =>
      (await this.#redis.command(key, ['EVAL', leaseScript, '1', key, owner, String(this.#lease)])) === 1
    try {
      for (;;) {
        const taken = this.#clock.monotonic()
        if (await takeOrRenew()) {
          return keepLease(this.#clock, this.#lease, taken, {
            renew: takeOrRenew,
            release: async () => {
              await this.#redis.command(key, ['EVAL', releaseScript, '1', key, owner]).finally(release)
            },
          })
        }
        const left = began + patience - this.#clock.monotonic()
        if (left <= 0) throw leaseTimeout(this.#place(name), this.#clock.monotonic() - began)
        await sleep(this.#clock, Math.min(left, 50 + Math.random() * 100))
      }
    } catch (error) {
      if (error instanceof StoreError && error.fault === 'unavailable') this.#undecided.set(name, owner)
      release()
      throw error
    }
  }

  async ping(): Promise<void> {
    const key = `${prefix}probe`
    await this.#redis.command(key, ['SET', key, '1', 'PX', '1000'])
  }

  close(): Promise<void> {
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
