import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { chart } from '../../bench/chart.ts'
import { cpuTime, memory } from '../../bench/children.ts'
import type { Load } from '../../bench/load.ts'
import { withTables, type Results } from '../../bench/report.ts'
import { median } from '../../bench/statistics.ts'
import { targets } from '../../bench/targets.ts'

const root = resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const measured = existsSync(join(root, 'bench/results.json'))

describe('benchmark', () => {
  it(
    'has its last figures in docs/performance.md and in the chart',
    { skip: !measured && 'npm run bench has not been run' },
    () => {
      const results = JSON.parse(read('bench/results.json')) as Results
      const page = read('docs/performance.md')
      assert.equal(page, withTables(page, results, targets))
      assert.equal(read('bench/chart.svg'), chart(results, targets))
    },
  )

  it('takes the middle of the rounds', () => {
    assert.equal(median([9, 1, 5]), 5)
    assert.equal(median([4, 1, 3, 2]), 2.5)
    assert.ok(Number.isNaN(median([])))
  })

  it('counts the CPU time and the memory of a process and its children', async () => {
    const burn = 'while (process.cpuUsage().user < 300_000); process.stdout.write("x"); setInterval(() => {}, 1000)'
    const parent = `const { spawn } = require('node:child_process')
      const child = spawn(process.execPath, ['-e', ${JSON.stringify(burn)}], { stdio: 'inherit' })
      process.on('SIGTERM', () => { child.kill(); process.exit() })`
    const child = spawn(process.execPath, ['-e', parent], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      assert.ok(cpuTime(child) > 100_000, `${cpuTime(child)} us: the child's work must count`)
      const { now, peak } = memory(child)
      assert.ok(now > 30e6 && peak >= now, 'two Node processes')
    } finally {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  })

  it('can load a server without wrk, and counts what failed', async (t) => {
    const seen = new Set<string>()
    const server = createServer((request, response) => {
      seen.add(String(request.headers['x-subject']))
      response.statusCode = request.headers['x-subject'] === 's3' ? 500 : 200
      response.end('answer')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const client = join(root, 'bench/load-client.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [client, url, '0.5', '4', '3', '{}'])
    const result = JSON.parse(stdout) as Load
    assert.ok(result.requests > 20, stdout)
    assert.deepEqual([...seen].sort(), ['s1', 's2', 's3'])
    assert.ok(Math.abs(result.errors - result.requests / 3) < 5, stdout)
    assert.ok(result.p50 > 0 && result.p50 <= result.p99 && result.p99 <= result.max)
  })
})
