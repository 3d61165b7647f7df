import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { wasReset } from '../../src/proxy/caller-reset.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** Both ends of connections to a server that reads nothing. */
async function pairs(t: TestContext, count: number, address: { port?: number; host?: string; path?: string }) {
  const server = createServer({ pauseOnConnect: true })
  server.listen(address)
  await once(server, 'listening')
  const bound = server.address()
  const to = typeof bound === 'string' ? { path: bound } : { ...address, port: (bound as AddressInfo).port }
  const made: { ours: Socket; caller: Socket }[] = []
  for (let index = 0; index < count; index++) {
    const caller = connect(to).on('error', () => undefined)
    const [ours] = (await once(server, 'connection')) as [Socket]
    made.push({ ours: ours.on('error', () => undefined), caller })
  }
  t.after(() => {
    for (const { ours, caller } of made) [ours, caller].forEach((socket) => socket.destroy())
    server.close()
  })
  return made
}

for (const host of ['127.0.0.1', '::1']) {
  test(
    `a connection over ${host} that was reset is told from those that live`,
    { skip: process.platform !== 'linux' },
    async (t) => {
      const made = await pairs(t, 4, { host, port: 0 })
      for (const { ours } of made) assert.equal(wasReset(ours), false)
      for (const { caller } of made.slice(0, 2)) {
        caller.write('unread')
        caller.resetAndDestroy()
      }
      // The table is looked at again after 200 ms.
      await new Promise((resolve) => setTimeout(resolve, 250))
      assert.deepEqual(
        made.map(({ ours }) => wasReset(ours)),
        [true, true, false, false],
      )
      const [younger] = await pairs(t, 1, { host, port: 0 })
      assert.equal(wasReset(younger!.ours), false)
    },
  )
}

test('a unix socket is never taken for reset', async (t) => {
  const [pair] = await pairs(t, 1, { path: join(tempDir(t), 's') })
  assert.equal(wasReset(pair!.ours), false)
})
