import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { tempDir } from '../helpers/temp-dir.ts'

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)

/** The commands of a page's fenced blocks, in their order. */
function commandsOf(page: string, from: string, to: string): string[] {
  const text = readFileSync(join(root, page), 'utf8')
  const section = text.slice(text.indexOf(from), text.indexOf(to))
  return [...section.matchAll(/```\n([^]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts a command of the page that runs until it is ended; resolves once its output matches. */
async function background(
  t: TestContext,
  command: string,
  options: { cwd: string; env: NodeJS.ProcessEnv },
  ready: RegExp,
) {
  const child = spawn('sh', ['-c', `exec ${command}`], { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  let output = ''
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${command} ended with ${String(code)}: ${output}`)))
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (ready.test(output)) resolve()
    })
  })
  return output
}

test('the quick start against the simulator works as the page has it', async (t) => {
  const cwd = tempDir(t)
  const bin = join(cwd, 'bin')
  mkdirSync(bin)
  writeFileSync(
    join(bin, 'bearer-sidecar'),
    `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'src/cli/main.ts')}" "$@"\n`,
  )
  chmodSync(join(bin, 'bearer-sidecar'), 0o755)
  // The page names fixed ports; here they are free ones.
  const [simulator, proxy, admin] = [await freePort(), await freePort(), await freePort()]
  const env = {
    ...process.env,
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    BEARER_SIDECAR_PROXY_LISTEN: `127.0.0.1:${proxy}`,
    BEARER_SIDECAR_ADMIN_LISTEN: `127.0.0.1:${admin}`,
  }
  const here = (command: string) => command.replaceAll('7777', String(simulator)).replaceAll('8080', String(proxy))
  const commands = commandsOf('docs/quickstart.md', '## 2.', '## 3.').map(here)
  assert.deepEqual(
    commands.map((command) => command.split(' ').slice(0, 2).join(' ')),
    ['bearer-sidecar simulate', 'bearer-sidecar check', 'bearer-sidecar start', 'curl -i', 'bearer-sidecar status'],
  )
  const [simulate = '', check = '', start = '', curl = '', status = ''] = commands

  const printed = await background(t, simulate, { cwd, env }, /While it runs/)
  const config = /^ {2}version:[^]*?(?=^\S)/m.exec(printed)?.[0].replace(/^ {2}/gm, '') ?? ''
  writeFileSync(join(cwd, 'bearer-sidecar.yaml'), config)
  assert.match((await run('sh', ['-c', check], { cwd, env })).stdout, /: ok \(/)
  await background(t, start, { cwd, env }, /proxy listening/)
  assert.match(
    (await run('sh', ['-c', `${curl} -s`], { cwd, env })).stdout,
    /^HTTP\/1\.1 200 OK[^]*"Authorization","Bearer /,
  )
  assert.match((await run('sh', ['-c', status], { cwd, env })).stdout, /active/)
})
