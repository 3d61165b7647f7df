import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseRedisUrl } from '../../src/stores/redis-url.ts'

describe('store.url of redis', () => {
  const cases: [string, Partial<ReturnType<typeof parseRedisUrl>>][] = [
    [
      'redis://host',
      { kind: 'standalone', nodes: [{ host: 'host', port: 6379 }], tls: false, database: 0, label: 'host:6379' },
    ],
    [
      'rediss://user:p%40:w@host:7000/3',
      { tls: true, database: 3, login: { username: 'user', password: 'p@:w' }, label: 'TLS host:7000' },
    ],
    [
      'redis://:pw@[::1]:6380',
      { nodes: [{ host: '::1', port: 6380 }], login: { password: 'pw' }, label: '[::1]:6380' },
    ],
    ['redis://p@w@host', { login: { username: 'p@w' } }],
    ['valkeys://host', { tls: true }],
    [
      'redis+sentinel://u:p@a,b:5000/main/2?sentinelPassword=x',
      {
        kind: 'sentinel',
        nodes: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 5000 },
        ],
        masterName: 'main',
        database: 2,
        login: { username: 'u', password: 'p' },
        sentinelLogin: { password: 'x' },
      },
    ],
    [
      'rediss+cluster://a:1,b:2/?ca=/ca.pem',
      { kind: 'cluster', tls: true, ca: '/ca.pem', label: 'TLS cluster a:1,b:2' },
    ],
  ]
  for (const [url, expected] of cases) {
    it(`understands ${url}`, () => {
      const target = parseRedisUrl(url)
      for (const [name, value] of Object.entries(expected))
        assert.deepEqual(target[name as keyof typeof target], value, name)
    })
  }

  for (const url of [
    'http://SECRET@host',
    'SECRET',
    'redis://:SECRET@a,b',
    'redis+sentinel://:SECRET@a',
    'redis://:SECRET%@a',
    'redis://:SECRET@a:99999',
    'redis://:SECRET@a/x',
    'redis+cluster://:SECRET@a/1',
    'redis://:SECRET@a?password=SECRET',
  ]) {
    it(`refuses ${url} without showing it`, () => {
      assert.throws(
        () => parseRedisUrl(url),
        (error: Error) => /store\.url/.test(error.message) && !error.message.includes('SECRET'),
      )
    })
  }
})
