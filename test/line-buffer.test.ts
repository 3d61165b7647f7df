import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type TestContext } from 'node:test'
import { LineBuffer } from '../src/line-buffer.ts'
import { tempDir } from './helpers/temp-dir.ts'

function output(t: TestContext, file = join(tempDir(t), 'out.log')) {
  const fd = openSync(file, 'a')
  t.after(() => closeSync(fd))
  return { lines: new LineBuffer(fd), written: () => readFileSync(file, 'utf8') }
}

test('lines that come together are written together, in their order', async (t) => {
  const { lines, written } = output(t)
  lines.write('one\n')
  lines.write('two\n')
  assert.equal(written(), '')
  await delay(150)
  assert.equal(written(), 'one\ntwo\n')
})

test('many lines do not wait', (t) => {
  const { lines, written } = output(t)
  for (let count = 0; count < 50; count++) lines.write(`${'x'.repeat(999)}\n`)
  assert.equal(written().length, 34_000)
})

test('before the process ends everything is written, once', async (t) => {
  const { lines, written } = output(t)
  lines.write('last wörds\n')
  await lines.flush()
  await lines.flush()
  assert.equal(written(), 'last wörds\n')
})

test('an output without room costs its lines and nothing else', async (t) => {
  const { lines } = output(t, '/dev/full')
  for (let count = 0; count < 100; count++) lines.write(`${'x'.repeat(999)}\n`)
  const began = performance.now()
  await lines.flush()
  assert.ok(performance.now() - began < 900)
})

for (const reads of [true, false]) {
  test(`a pipe whose reader ${reads ? 'is late' : 'never reads'} holds nobody up, and the end no longer than a second`, async (t) => {
    const script = `import { LineBuffer } from ${JSON.stringify(new URL('../src/line-buffer.ts', import.meta.url).href)}
      const lines = new LineBuffer(1)
      for (let count = 0; count < 2000; count++) lines.write('x'.repeat(999) + '\\n')
      process.stderr.write('all taken')
      await lines.flush()
      process.exit(0)`
    // A shell's pipe, which is one; what spawn() makes is a pair of sockets.
    const command = `"$0" --input-type=module -e "$1" | { sleep ${reads ? '0.3; cat' : '3'}; }; echo "\${PIPESTATUS[0]}" >&2`
    const child = spawn('bash', ['-c', command, process.execPath, script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    let received = 0
    // The shell's ends may be reset instead of closed; what counts is what came.
    for (const stream of [child.stdout, child.stderr]) stream.on('error', () => undefined)
    child.stdout.on('data', (chunk: Buffer) => (received += chunk.length))
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await once(child, 'close')
    assert.match(said, /all taken0\n/)
    // A megabyte waits; what came after it was lost.
    if (reads) assert.ok(received > 1_000_000 && received < 1_500_000, String(received))
  })
}
