import type { Comparison } from './scenarios.ts'
import type { Target } from './targets.ts'

const [width, left, barHeight, gap, top] = [760, 170, 26, 14, 56]

/** Horizontal bars of CPU time per request, for light and dark pages alike. */
export function chart(
  { comparison }: { readonly comparison: readonly Comparison[] },
  targets: readonly Target[],
): string {
  const sorted = [...comparison].sort((a, b) => a.median.cpuPerRequest - b.median.cpuPerRequest)
  const most = Math.max(...sorted.map(({ median }) => median.cpuPerRequest))
  const scale = (width - left - 190) / most
  const height = top + sorted.length * (barHeight + gap) + 8
  const bars = sorted.map(({ target, median }, index) => {
    const y = top + index * (barHeight + gap)
    const title = targets.find(({ name }) => name === target)?.title ?? target
    const own = target === 'bearer-sidecar'
    const middle = y + barHeight / 2 + 5
    const length = Math.round(median.cpuPerRequest * scale)
    return `  <text x="${left - 12}" y="${middle}" text-anchor="end"${own ? ' font-weight="bold"' : ''}>${title}</text>
  <rect x="${left}" y="${y}" width="${length}" height="${barHeight}" rx="3" fill="${own ? '#0a7d55' : '#8a94a3'}"/>
  <text x="${left + length + 8}" y="${middle}">${median.cpuPerRequest} µs · ${thousands(median.requestsPerSecond)}/s</text>`
  })
  const label = sorted.map(({ target, median }) => `${target} ${median.cpuPerRequest} µs`).join(', ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="CPU time per request: ${label}">
  <style>
    text { font-family: system-ui, sans-serif; font-size: 14px; fill: #1f2933 }
    @media (prefers-color-scheme: dark) { text { fill: #e4e7eb } }
  </style>
  <text x="0" y="20" font-weight="bold">CPU time per proxied request, and requests per second on one core</text>
  <text x="0" y="40">1.2 kB of JSON behind a TLS upstream; less is better</text>
${bars.join('\n')}
</svg>
`
}

export const thousands = (value: number) => Math.round(value).toLocaleString('en-US')
