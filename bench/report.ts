import { thousands } from './chart.ts'
import type { accessLogging, addedLatency, Comparison, largeBodies, manySubjects, throughExpiry } from './scenarios.ts'
import type { Share } from './profile.ts'
import type { Target } from './targets.ts'

export interface Results {
  readonly at: string
  readonly commit: string
  readonly machine: {
    cpu: string
    cores: number
    memoryGigabytes: number
    kernel: string
    node: string
    pinned: boolean
    loadBefore: number
  }
  readonly load: { generator: string; connections: number; rounds: number; seconds: number }
  readonly versions: Readonly<Record<string, string | undefined>>
  readonly leftOut: readonly string[]
  readonly comparison: readonly Comparison[]
  readonly latency: Awaited<ReturnType<typeof addedLatency>>
  readonly accessLogging: Awaited<ReturnType<typeof accessLogging>>
  readonly subjects: readonly Awaited<ReturnType<typeof manySubjects>>[]
  readonly largeBodies: Awaited<ReturnType<typeof largeBodies>>
  readonly expiry: Awaited<ReturnType<typeof throughExpiry>>
  readonly profile: readonly Share[]
}

const [begin, end] = ['<!-- measured: begin -->', '<!-- measured: end -->']

/** A page with the tables between its two markers replaced. */
export function withTables(page: string, results: Results, targets: readonly Target[]): string {
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`the page lacks the line ${begin} or ${end}`)
  return `${before}${begin}\n${tables(results, targets)}\n${end}${after}`
}

function tables(results: Results, targets: readonly Target[]): string {
  const { machine, load, comparison } = results
  const title = (name: string) => targets.find((target) => target.name === name)?.title ?? name
  const rows = (lines: readonly (readonly (string | number)[])[]) =>
    lines.map((line) => `| ${line.join(' | ')} |`).join('\n')
  const milliseconds = (microseconds: number) => (microseconds / 1000).toFixed(2)
  const own = comparison.find(({ target }) => target === 'bearer-sidecar')
  return `
${results.at.slice(0, 10)}, commit ${results.commit}. ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGigabytes} GiB, Linux ${machine.kernel}, Node ${machine.node.slice(1)}.
Load: ${load.generator}, ${load.connections} connections, ${load.rounds} rounds of ${load.seconds} s each, interleaved. ${
    machine.pinned ? 'The proxy has one core, load and upstream the other.' : 'Processes were not pinned to cores.'
  }${machine.loadBefore > 0.5 ? ` **The machine was busy with other work (load average ${machine.loadBefore}): ratios hold, latencies and requests per second do not.**` : ''}${results.leftOut.length > 0 ? ` Left out, not installed: ${results.leftOut.join(', ')}.` : ''}

| | version | CPU per request, µs | bearer-sidecar relative to it | requests/s | p50, ms | p99, ms | memory idle, MB | loaded, MB | start to first answer, ms |
|---|---|---|---|---|---|---|---|---|---|
${rows(
  comparison.map((one) => [
    title(one.target),
    results.versions[one.target] ?? '',
    one.median.cpuPerRequest.toFixed(1),
    one.target === own?.target ? '' : one.cpuRatio.toFixed(2),
    thousands(one.median.requestsPerSecond),
    milliseconds(one.median.p50),
    milliseconds(one.median.p99),
    one.idleMegabytes.toFixed(0),
    one.loadedMegabytes.toFixed(0),
    one.firstAnswer,
  ]),
)}

### Goals

| | goal | measured | |
|---|---|---|---|
${rows(goals(results).map(({ goal, limit, value }) => [goal, `at most ${limit}`, value, value <= limit ? 'reached' : '**not reached**']))}

### Added to one call at a time

A call without a proxy: p50 ${results.latency.direct.p50} µs, p99 ${results.latency.direct.p99} µs.

| | added at p50, µs | added at p99, µs |
|---|---|---|
${rows(Object.entries(results.latency.added).map(([name, { p50, p99 }]) => [title(name), p50, p99]))}

### 10 MB bodies

| | download: CPU, ms | MB/s | upload: CPU, ms | MB/s |
|---|---|---|---|---|
${rows(
  Object.entries(results.largeBodies).map(([name, { down, up }]) => [
    title(name),
    down.cpuMilliseconds,
    down.megabytesPerSecond,
    up.cpuMilliseconds,
    up.megabytesPerSecond,
  ]),
)}

### What features cost

CPU per request relative to the sidecar without the feature, in the same rounds.

| | CPU per request, µs | relative | memory loaded, MB |
|---|---|---|---|
${rows([
  [
    'access log to a file',
    results.accessLogging.cpuPerRequest,
    results.accessLogging.cpuRatio.toFixed(2),
    results.accessLogging.loadedMegabytes.toFixed(0),
  ],
  ...results.subjects.map((one) => [
    one.subjects === 1 ? '1 subject' : `${thousands(one.subjects)} subjects`,
    one.cpuPerRequest,
    one.cpuRatio.toFixed(2),
    one.loadedMegabytes.toFixed(0),
  ]),
])}

### Through an expiry

Tokens of ${results.expiry.tokenLifeSeconds} s from a token endpoint that takes ${results.expiry.tokenEndpointMilliseconds} ms, ${results.expiry.seconds} s of load on 8 connections:
${thousands(results.expiry.requests)} requests, ${results.expiry.errors} failed, p50 ${milliseconds(results.expiry.p50)} ms, p99 ${milliseconds(results.expiry.p99)} ms, slowest ${milliseconds(results.expiry.max)} ms.

### Where the sidecar's time goes

Share of its CPU time under that load, by sampling.

| | % |
|---|---|
${rows(results.profile.map(({ part, percent }) => [part, percent.toFixed(1)]))}
`
}

/** What was set out to reach; those whose peer was not installed are left out. */
function goals({ comparison, accessLogging }: Results): { goal: string; limit: number; value: number }[] {
  const of = (name: string) => comparison.find(({ target }) => target === name)
  const own = of('bearer-sidecar')
  const entries: [string, number, number | undefined][] = [
    ['CPU per request relative to @fastify/http-proxy', 0.5, of('http-proxy')?.cpuRatio],
    ['CPU per request relative to Caddy', 0.7, of('caddy')?.cpuRatio],
    ['CPU per request relative to nginx', 2, of('nginx')?.cpuRatio],
    ['CPU per request with the access log relative to without', 1.15, accessLogging.cpuRatio],
    ['memory idle, MB', 90, own?.idleMegabytes],
    ['memory loaded, MB', 140, own?.loadedMegabytes],
    ['start to first proxied answer, ms', 250, own?.firstAnswer],
  ]
  return entries.flatMap(([goal, limit, value]) => (value === undefined ? [] : [{ goal, limit, value }]))
}
