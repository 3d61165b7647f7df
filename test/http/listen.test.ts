import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { listen, ListenError, parseListenAddress } from '../../src/http/listen.ts'
import { tempDir } from '../helpers/temp-dir.ts'

function server(t: TestContext): Server {
  const made = createServer()
  t.after(() => made.close())
  return made
}

test('host:port, [v6]:port, an empty host and unix:/path are understood', () => {
  assert.deepEqual(parseListenAddress('127.0.0.1:8080'), { kind: 'tcp', host: '127.0.0.1', port: 8080 })
  assert.deepEqual(parseListenAddress('[::1]:0'), { kind: 'tcp', host: '::1', port: 0 })
  assert.deepEqual(parseListenAddress(':9090'), { kind: 'tcp', host: '::', port: 9090 })
  assert.deepEqual(parseListenAddress('unix:/run/a:b.sock'), { kind: 'unix', path: '/run/a:b.sock' })
})

test('port 0 is answered with the port that was found', async (t) => {
  const bound = await listen(server(t), '127.0.0.1:0')
  assert.match(bound.url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
  assert.equal(bound.url, `http://127.0.0.1:${bound.port}`)
})

test('a taken port is refused with its address and the next step', async (t) => {
  const { port } = await listen(server(t), '127.0.0.1:0')
  await assert.rejects(listen(server(t), `127.0.0.1:${port}`), (error) => {
    assert.ok(error instanceof ListenError)
    assert.equal(
      error.message,
      `cannot listen on 127.0.0.1:${port}: the address is in use by another program; stop that one or choose another address`,
    )
    return true
  })
})

test('a unix socket is for its owner alone and goes with its server', async (t) => {
  const path = join(tempDir(t), 's.sock')
  const made = server(t)
  assert.deepEqual(await listen(made, `unix:${path}`), { url: `unix:${path}`, host: undefined, port: undefined })
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await new Promise((resolve) => made.close(resolve))
  assert.equal(existsSync(path), false)
})

test('a socket that a killed process left behind is replaced', async (t) => {
  const path = join(tempDir(t), 's.sock')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  assert.equal(statSync(path).isSocket(), true)
  await listen(server(t), `unix:${path}`)
})

test('a socket in use and a file that is no socket are left alone', async (t) => {
  const directory = tempDir(t)
  await listen(server(t), `unix:${directory}/s.sock`)
  await assert.rejects(listen(server(t), `unix:${directory}/s.sock`), /in use/)
  writeFileSync(join(directory, 'file'), 'mine')
  await assert.rejects(listen(server(t), `unix:${directory}/file`), /in use/)
  assert.equal(existsSync(join(directory, 'file')), true)
})
