import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../src/clock.ts'
import { configSchema } from '../../src/config/schema.ts'
import { openStore } from '../../src/stores/open.ts'
import { KubernetesApiServer } from '../helpers/kubernetes-api.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { rejectsWith } from './store-assertions.ts'

const parse = (store: object) => configSchema.shape.store.parse(store)
const run = promisify(execFile)

describe('openStore', () => {
  it('opens what the config names, and describes it without a secret', async (t) => {
    const directory = tempDir(t)
    const api = await KubernetesApiServer.start()
    t.after(() => api.stop())
    api.mountServiceAccount(directory)
    const cases: [object, string][] = [
      [{ type: 'memory' }, 'memory (tokens are gone when the process ends)'],
      [{ type: 'file', directory }, `file ${directory}, plain`],
      [{ type: 'file', directory, encryptionKey: 'SECRET' }, `file ${directory}, sealed`],
      [{ type: 'redis', url: 'redis://u:SECRET@127.0.0.1:1/2', encryptionKey: 'SECRET' }, 'redis 127.0.0.1:1, sealed'],
      [{ type: 'kubernetes', secretName: 'names' }, 'kubernetes Secret tokens-ns/names'],
    ]
    for (const [config, description] of cases) {
      const store = await openStore(parse(config), {
        clock: systemClock,
        env: api.env,
        serviceAccountDirectory: directory,
      })
      assert.equal(store.description, description)
      await store.close()
    }
  })

  it('refuses a redis URL that it does not understand, before it connects anywhere', async () => {
    await rejectsWith('unavailable', openStore(parse({ type: 'redis', url: 'http://SECRET' }), { clock: systemClock }))
  })

  it('refuses type kubernetes outside of a cluster', async () => {
    await rejectsWith('unavailable', openStore(parse({ type: 'kubernetes' }), { clock: systemClock, env: {} }))
  })

  it('loads the redis client only for redis, and names the package when it is not installed', async () => {
    const open = new URL('../../src/stores/open.ts', import.meta.url).href
    const schema = new URL('../../src/config/schema.ts', import.meta.url).href
    const script = `
      import { registerHooks } from 'node:module'
      const asked = []
      registerHooks({ resolve(specifier, context, next) {
        asked.push(specifier)
        if (specifier === '@redis/client') throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
        return next(specifier, context)
      } })
      const { openStore } = await import(${JSON.stringify(open)})
      const { configSchema } = await import(${JSON.stringify(schema)})
      const clock = { now: Date.now, monotonic: () => performance.now(), schedule: () => () => {} }
      const store = (type) => openStore(configSchema.shape.store.parse({ type }), { clock })
      await store('memory')
      const eager = asked.includes('@redis/client') || asked.includes('undici')
      const error = await store('redis').catch((error) => error)
      console.log(JSON.stringify({ eager, fault: error.fault, message: error.message }))
    `
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script])
    const result = JSON.parse(stdout) as { eager: boolean; fault: string; message: string }
    assert.equal(result.eager, false)
    assert.equal(result.fault, 'unavailable')
    assert.match(result.message, /npm install @redis\/client/)
  })
})
