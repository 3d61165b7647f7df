/**
 * Renders the Helm chart with every values file of its ci/ folder into test/deploy/rendered/, where tests validate what Kubernetes would get.
 * Run it after a change of the chart; needs helm (HELM=/path/to/helm, else from PATH). A test compares the digest below, so that
 * a change that was not rendered is found on machines without helm too.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { format } from 'prettier'
import { findCommand } from './debian-packages.ts'

const root = resolve(import.meta.dirname, '..')
export const chart = join(root, 'deploy/helm/bearer-sidecar')
export const rendered = join(root, 'test/deploy/rendered')

export const valuesFiles = (): string[] => globSync('ci/*-values.yaml', { cwd: chart }).sort()
export const renderedName = (values: string) => `${basename(values, '-values.yaml')}.yaml`

/** Names the exact content of the chart. */
export function chartDigest(): string {
  const hash = createHash('sha256')
  for (const file of globSync('**/*.*', { cwd: chart, exclude: ['README.md'] }).sort()) {
    hash.update(`${file}\0`).update(readFileSync(join(chart, file)))
  }
  return hash.digest('hex')
}

export function findHelm(): string | undefined {
  return process.env['HELM'] ?? findCommand('helm')
}

/** Kubernetes objects as YAML, under a line that names the chart they came from. */
export async function render(helm: string, values: string): Promise<string> {
  const parameters = [
    'template',
    'demo',
    chart,
    '--namespace',
    'shop',
    '--kube-version',
    '1.31.0',
    '--values',
    join(chart, values),
  ]
  const { status, stdout, stderr } = spawnSync(helm, parameters, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`helm template failed for ${values}:\n${stderr}`)
  return await format(`# chart ${chartDigest()}\n${stdout}`, { parser: 'yaml', printWidth: 120, singleQuote: true })
}

if (import.meta.main) {
  const helm = findHelm()
  if (helm === undefined) throw new Error('helm was not found; set HELM to its path')
  mkdirSync(rendered, { recursive: true })
  for (const values of valuesFiles()) writeFileSync(join(rendered, renderedName(values)), await render(helm, values))
}
