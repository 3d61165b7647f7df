import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

const logger = new URL('../src/logger.ts', import.meta.url).href

/** What a process that logs to its standard output has written when it has ended. */
function logged(code: string): Record<string, unknown>[] {
  const script = `const { openLog } = await import('${logger}')
    const { logger, flush } = await openLog({ level: 'info', format: 'json' }, false)
    ${code}
    await flush()
    process.exit()`
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  const lines = run.stdout.split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('every line has its level and its time, to the millisecond, across seconds', () => {
  const began = Date.now()
  const lines = logged(`
    const end = Date.now() + 1100
    while (Date.now() < end) { logger.info('tick'); await new Promise((done) => setTimeout(done, 90)) }`)
  assert.ok(lines.length > 8)
  let last = began - 1
  for (const { level, time, msg } of lines) {
    assert.deepEqual([level, msg], ['info', 'tick'])
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    const at = Date.parse(String(time))
    assert.ok(at >= last && at <= Date.now(), `${String(time)} is out of order`)
    last = at
  }
})

test('nothing is lost at the end, however much was logged', () => {
  const lines = logged(`for (let count = 0; count < 5000; count++) logger.info({ count }, 'line')`)
  assert.deepEqual(
    lines.map(({ count }) => count),
    Array.from({ length: 5000 }, (_, index) => index),
  )
})

test('fields with the names of secrets are blacked out, one level down too', () => {
  const [line] = logged(`logger.info({ accessToken: 'a-secret', answer: { refresh_token: 'a-secret' } }, 'oops')`)
  assert.doesNotMatch(JSON.stringify(line), /a-secret/)
})
