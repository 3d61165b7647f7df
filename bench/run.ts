/**
 * npm run bench [-- --quick]
 *
 * Compares the sidecar with what people would put in its place, all on loopback, and measures what its own features cost. Writes
 * bench/results.json, bench/chart.svg and the tables of docs/performance.md; --quick prints a shorter run and writes nothing.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { installMissing } from '../scripts/debian-packages.ts'
import { chart } from './chart.ts'
import { pinned, stopAll } from './children.ts'

const root = resolve(import.meta.dirname, '..')
const quick = process.argv.includes('--quick')
const directory = join(import.meta.dirname, '.work')

execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory)

const tools = ['wrk', 'nginx', 'haproxy', 'caddy'].map((command) => ({
  command,
  package: command === 'nginx' ? 'nginx-light' : command,
}))
installMissing(tools)
// These look for the programs when they are loaded, so they come after the installation.
const { generator } = await import('./load.ts')
const { profile } = await import('./profile.ts')
const { runOrigin } = await import('./running.ts')
const scenarios = await import('./scenarios.ts')
const { targets } = await import('./targets.ts')
const { withTables } = await import('./report.ts')

const present = targets.filter(({ version }) => version !== undefined)
const leftOut = targets.filter(({ version }) => version === undefined).map(({ title }) => title)
const plan = {
  directory,
  rounds: quick ? 3 : 5,
  seconds: quick ? 2 : 4,
  connections: 32,
  log: (text: string) => console.log(text),
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAll().then(() => process.exit(130)))

const [busy = 0] = loadavg()
try {
  const { addresses, close } = await runOrigin({ directory })
  const comparison = await scenarios.compare(plan, present, addresses)
  const some = present.filter(({ name }) => ['bearer-sidecar', 'http-proxy', 'nginx'].includes(name))
  plan.log('added latency')
  const latency = await scenarios.addedLatency(plan, some, addresses)
  plan.log('access logging')
  const accessLogging = await scenarios.accessLogging(plan, addresses)
  const subjects = []
  for (const count of quick ? [100] : [1, 100, 10_000]) {
    plan.log(`${count} subjects`)
    subjects.push(await scenarios.manySubjects(plan, addresses, count))
  }
  plan.log('profile')
  const profiled = await profile(directory, addresses, plan.seconds, plan.connections)
  await close()
  plan.log('10 MB bodies')
  const largeBodies = await scenarios.largeBodies(plan, some)
  plan.log('through expiries')
  const expiry = await scenarios.throughExpiry(plan)

  const results = {
    at: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGigabytes: Math.round(totalmem() / 2 ** 30),
      kernel: release(),
      node: process.version,
      pinned,
      /** Of the minute before: near 0 on a quiet machine, and only then are latencies and requests per second worth reading. */
      loadBefore: Math.round(busy * 10) / 10,
    },
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    load: { generator, connections: plan.connections, rounds: plan.rounds, seconds: plan.seconds },
    versions: Object.fromEntries(present.map(({ name, version }) => [name, version])),
    leftOut,
    comparison,
    latency,
    accessLogging,
    subjects,
    largeBodies,
    expiry,
    profile: profiled,
  }
  if (quick) console.log(JSON.stringify(results, null, 2))
  else {
    writeFileSync(join(import.meta.dirname, 'results.json'), `${JSON.stringify(results, null, 2)}\n`)
    writeFileSync(join(import.meta.dirname, 'chart.svg'), chart(results, targets))
    const page = join(root, 'docs/performance.md')
    writeFileSync(page, withTables(readFileSync(page, 'utf8'), results, targets))
  }
  if (leftOut.length > 0) console.log(`left out, not installed here: ${leftOut.join(', ')}`)
} finally {
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
}
