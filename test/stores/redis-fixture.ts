import type { TestContext } from 'node:test'
import { createClient } from '@redis/client'
import { systemClock } from '../../src/clock.ts'
import { documentCodec } from '../../src/stores/document-codec.ts'
import { RedisStore } from '../../src/stores/redis.ts'

export const lease = 600

export interface LogLine {
  readonly level: string
  readonly message: string
}

export async function openRedis(
  t: Pick<TestContext, 'after'>,
  url: string,
  log: LogLine[] = [],
  options: { lease?: number; timeout?: number } = {},
): Promise<RedisStore> {
  const store = await RedisStore.open({
    url,
    codec: documentCodec('ab'.repeat(32), []),
    clock: systemClock,
    lease,
    timeout: 1_000,
    ...options,
    log: (level, message) => log.push({ level, message }),
  })
  t.after(() => store.close())
  return store
}

export async function admin(url: string) {
  const client = createClient({ url, RESP: 2 })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Tries again until it holds, at most for `limit` milliseconds. */
export async function eventually<T>(attempt: () => Promise<T>, limit = 8_000): Promise<T> {
  const end = performance.now() + limit
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
