import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type * as RedisModule from '@redis/client'
import { StoreError } from './token-store.ts'
import type { RedisTarget } from './redis-url.ts'

/** The little that is needed of the three clients of @redis/client. */
export interface RedisDriver {
  connect(): Promise<unknown>
  /** `key` routes the command in a cluster. */
  command(key: string | undefined, args: readonly string[]): Promise<unknown>
  /** One SCAN command on each server that has keys of its own. */
  scanners(): Promise<((args: readonly string[]) => Promise<unknown>)[]>
  /** Ends it at once. */
  destroy(): void
}

interface Timing {
  readonly connectTimeout: number
  readonly reconnectStrategy: (retries: number) => number
  readonly keepAlive: boolean
  readonly keepAliveInitialDelay: number
}

type SocketSettings = Timing | (Timing & { readonly tls: true; readonly ca?: string })

export type DriverFactory = (onError: (error: unknown) => void) => RedisDriver

/** Loads @redis/client, an optional dependency. `connectTimeout` in milliseconds. Rejects with StoreError when it is not installed. */
export async function redisDrivers(target: RedisTarget, connectTimeout: number): Promise<DriverFactory> {
  const redis = await import('@redis/client').catch((cause: unknown) => {
    throw new StoreError(
      'unavailable',
      'store.type redis needs the optional package @redis/client, which is not installed. Run: npm install @redis/client',
      cause,
    )
  })
  const ca = target.ca === undefined ? undefined : readCa(target.ca)
  const reconnectStrategy = (retries: number) => Math.min(50 * 2 ** retries, 2_000) * (0.5 + Math.random() / 2)
  const timing: Timing = { connectTimeout, reconnectStrategy, keepAlive: true, keepAliveInitialDelay: 5_000 }
  const socket = target.tls ? { ...timing, tls: true as const, ...(ca !== undefined && { ca }) } : timing
  return (onError) => makeDriver(redis, target, socket, onError)
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new StoreError('unavailable', `The CA file ${path} of store.url can't be read.`, cause)
  }
}

function makeDriver(
  redis: typeof RedisModule,
  target: RedisTarget,
  socket: SocketSettings,
  onError: (error: unknown) => void,
): RedisDriver {
  const common = {
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    disableClientInfo: true,
  } as const
  const login = target.login
  const [first] = target.nodes
  switch (target.kind) {
    case 'standalone': {
      // Providers that serve many names at one address go by SNI, which Node sends only when it is told to.
      const sni = target.tls && isIP(first.host) === 0 ? { servername: first.host } : {}
      const client = redis.createClient({
        ...common,
        ...login,
        database: target.database,
        socket: { ...socket, ...sni, ...first },
      })
      client.on('error', onError)
      return {
        connect: () => client.connect(),
        command: (_key, args) => client.sendCommand([...args]),
        scanners: () => Promise.resolve([(args) => client.sendCommand([...args])]),
        destroy: () => client.destroy(),
      }
    }
    case 'sentinel': {
      const sentinel = redis.createSentinel({
        RESP: 2,
        name: target.masterName,
        sentinelRootNodes: target.nodes.map((node) => ({ ...node })),
        nodeClientOptions: { ...common, ...login, database: target.database, socket: socket },
        sentinelClientOptions: { ...common, ...target.sentinelLogin, socket: socket },
        maxCommandRediscovers: 3,
        scanInterval: 2_000,
      })
      sentinel.on('error', onError)
      return {
        connect: () => sentinel.connect(),
        command: (_key, args) => sentinel.sendCommand(false, [...args]),
        scanners: () => Promise.resolve([(args) => sentinel.sendCommand(false, [...args])]),
        destroy: () => void sentinel.destroy().catch(onError),
      }
    }
    case 'cluster': {
      const cluster = redis.createCluster({
        RESP: 2,
        rootNodes: target.nodes.map((node) => ({ socket: { ...node } })),
        defaults: { ...common, ...login, socket: socket },
        maxCommandRedirections: 5,
      })
      cluster.on('error', onError)
      cluster.on('node-error', onError)
      return {
        connect: () => cluster.connect(),
        command: (key, args) => cluster.sendCommand(key, false, [...args]),
        scanners: () =>
          Promise.all(
            cluster.masters.map(async (master) => {
              const node = await cluster.nodeClient(master)
              return (args: readonly string[]) => node.sendCommand([...args])
            }),
          ),
        destroy: () => cluster.destroy(),
      }
    }
  }
}
