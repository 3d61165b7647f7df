import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import ts from 'typescript'
import { readModules, root, type Import, type Module } from '../scripts/import-graph.ts'

/**
 * Who may know whom. A part is a folder of src or a file beside them. `runs` lists the parts that may be imported; `types` those of which
 * only types may be known, which leaves nothing in the compiled program. Every part may import from itself.
 */
interface Rule {
  readonly runs: readonly string[]
  readonly types?: readonly string[]
}

/** The words that every part shares: they import nothing themselves. */
const shared = ['errors', 'clock', 'http', 'durations', 'builtins']
/** What tokens are, without anything that happens to them. */
const tokenValues = ['tokens/token-set', 'tokens/grant']
/** The values and the seams of tokens/, without the manager behind them. */
const tokenSeams = [...tokenValues, 'tokens/token-source', 'tokens/credentials']

/** Files of src itself that wire the parts together: app.ts, cut along what it wires. */
const composition = [
  'access-log',
  'app',
  'app-state',
  'callback-url',
  'direct-credentials',
  'notifier',
  'proxy-routes',
  'token-events',
  'tracing',
  'upstreams',
]

const rules: Readonly<Record<string, Rule>> = {
  errors: { runs: [] },
  clock: { runs: [] },
  builtins: { runs: [] },
  durations: { runs: [] },
  http: { runs: ['errors'] },
  'line-buffer': { runs: [] },
  logger: { runs: ['errors', 'line-buffer'], types: ['config'] },
  // Carries bytes for anyone: knows nothing of tokens, routes or our own errors.
  upstream: { runs: ['clock'] },
  config: { runs: [...shared, 'providers'] },
  providers: { runs: ['config'] },
  oauth: {
    runs: [...shared, ...tokenValues, 'tokens/credentials', 'upstream'],
    types: ['config', 'providers', 'tokens/token-source'],
  },
  // token-store is the seam: the interface and the error that every store rejects with.
  stores: { runs: [...shared, ...tokenValues], types: ['config'] },
  tokens: { runs: [...shared, 'stores/token-store'], types: ['config', 'logger'] },
  proxy: { runs: [...shared, 'upstream', ...tokenSeams, 'tokens/rejection', 'logger'], types: ['config'] },
  admin: { runs: [...shared, ...tokenSeams, 'logger', 'stores/token-store'], types: ['config', 'providers'] },
  // Shares no code with the rest, so that it cannot share its mistakes.
  simulator: { runs: [] },
  app: {
    runs: [...shared, 'config', 'providers', 'logger', 'oauth', 'stores', 'tokens', 'upstream', 'proxy', 'admin'],
  },
  // The story that `demo` tells: a caller, the program and the simulator.
  demo: { runs: [...shared, 'app', 'config', 'providers', 'simulator', 'logger'] },
  cli: {
    runs: [
      ...shared,
      ...tokenSeams,
      'app',
      'config',
      'providers',
      'simulator',
      'demo',
      'logger',
      'stores/token-store',
      'admin/status-document',
      // check --online asks with the client that requests take.
      'upstream',
    ],
  },
}

/** The files that may know both the token endpoint and the store: where a one-time token is spent and saved. */
const joints = [
  'src/tokens/token-manager.ts',
  'src/tokens/rotation.ts',
  // Composition: these hand the one to the other.
  'src/tokens/token-sources.ts',
  'src/tokens/credential-service.ts',
]

/** Files over 250 lines, each with the reason why it is not two files. */
const longFiles: Readonly<Record<string, string>> = {}

/** Releases below these carry a fault that lets a caller strip, forge or read a credential (docs/security-model.md). */
const versionFloors: Readonly<Record<string, string>> = {
  '@fastify/reply-from': '12.6.5',
  '@fastify/http-proxy': '11.6.3',
  undici: '7.29.0',
  fastify: '5.12.2',
}

const source = readModules('src/**/*.ts')
const modules = [...source.values()]

describe('architecture', () => {
  it('reads a source tree', () => {
    assert.ok(modules.length > 10, 'the patterns must match the source, or every rule below holds for nothing')
    const parts = new Set(modules.map((module) => partOf(module.file)))
    const unknown = [...parts].filter((part) => !(part in rules))
    assert.deepEqual(unknown, [], 'a new part needs a rule of its own')
  })

  it('imports only in the allowed directions', () => {
    const wrong = modules.flatMap((module) =>
      module.imports
        .filter(({ target }) => target.startsWith('src/'))
        .filter((found) => !allowed(module, found))
        .map(
          ({ target, typeOnly, line }) =>
            `${module.file}:${line} may not import ${typeOnly ? 'types of' : ''} ${target}`,
        ),
    )
    assert.deepEqual(wrong, [])
  })

  it('knows both the token endpoint and the store in the token manager alone', () => {
    const both = modules
      .filter(({ file }) => partOf(file) !== 'app' && !joints.includes(file))
      .filter(({ imports }) =>
        ['oauth', 'stores'].every((part) => imports.some(({ target }) => partOf(target) === part)),
      )
    assert.deepEqual(
      both.map(({ file }) => file),
      [],
    )
  })

  it('has no import cycle', () => {
    assert.deepEqual(cycles(), [])
  })

  it('imports files that exist', () => {
    const missing = modules.flatMap((module) =>
      module.imports
        .filter(({ target }) => target.startsWith('src/') && !source.has(target))
        .map(({ target, line }) => `${module.file}:${line} ${target}`),
    )
    assert.deepEqual(missing, [])
  })

  it('keeps the start-up of a command short: src/cli/main.ts loads only commander, Node and its own folder at once', () => {
    const eager = source.get('src/cli/main.ts')?.imports.filter(({ lazy, typeOnly }) => !lazy && !typeOnly) ?? []
    const heavy = eager.filter(({ target }) => !isBuiltin(target) && target !== 'commander' && partOf(target) !== 'cli')
    assert.deepEqual(
      heavy.map(({ target }) => target),
      [],
    )
  })

  it('keeps files short enough to be read in one sitting', () => {
    const long = modules.filter(({ file, lines }) => lines > 250 && !(file in longFiles))
    assert.deepEqual(
      long.map(({ file, lines }) => `${file}: ${lines} lines`),
      [],
    )
    const stale = Object.keys(longFiles).filter((file) => (source.get(file)?.lines ?? 0) <= 250)
    assert.deepEqual(stale, [], 'an exception that is no longer needed')
  })

  it('names files by what they hold', () => {
    const vague = modules.filter(({ file }) => /(^|\/)(utils?|helpers?|common|misc|index|types)(\/|\.ts$)/.test(file))
    assert.deepEqual(
      vague.map(({ file }) => file),
      [],
    )
  })

  it('reads the environment where the config is loaded and nowhere else', () => {
    assert.deepEqual(uses(/^(globalThis\.)?process(\.|\[')env\b/, ['src/config/load.ts', 'src/cli/main.ts']), [])
  })

  it('ends the process in src/cli/main.ts and nowhere else', () => {
    assert.deepEqual(uses(/^(globalThis\.)?process\.(exit|abort|reallyExit)$/, ['src/cli/main.ts']), [])
  })

  it('takes node:http from src/builtins.ts, which says why', () => {
    const direct = modules
      .filter(({ file }) => partOf(file) !== 'simulator')
      .filter(({ imports }) => imports.some((found) => found.target === 'node:http' && !found.typeOnly))
    assert.deepEqual(
      direct.map(({ file }) => file),
      [],
    )
  })

  it('calls with its own client, and with undici the Kubernetes API alone', () => {
    const users = modules.filter(({ imports }) => imports.some(({ target }) => target === 'undici'))
    assert.deepEqual(
      users.map(({ file }) => file),
      ['src/stores/kubernetes-api.ts'],
    )
  })

  it('never prints past the logger or the command line output', () => {
    assert.deepEqual(uses(/^(globalThis\.)?console\./, []), [])
  })

  it('never switches certificate verification off', () => {
    const off = modules.filter(({ source: file }) =>
      /rejectUnauthorized['\"]?\s*:(?!\s*true\b)|env.*NODE_TLS_REJECT/.test(file.text),
    )
    assert.deepEqual(
      off.map(({ file }) => file),
      [],
    )
  })

  it('depends on releases without known holes', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string }>
    }
    for (const [name, floor] of Object.entries(versionFloors)) {
      const copies = Object.entries(lock.packages).filter(([path]) => path.endsWith(`node_modules/${name}`))
      assert.ok(copies.length > 0, `${name} is not in the lockfile`)
      for (const [path, { version = '0.0.0' }] of copies) {
        assert.ok(compareVersions(version, floor) >= 0, `${path} is ${version}, below ${floor}`)
      }
    }
  })

  it('tells those releases in docs/security-model.md', () => {
    const page = readFileSync(join(root, 'docs/security-model.md'), 'utf8')
    const told = [...page.matchAll(/^\| `([^`]+)` \| (\d+\.\d+\.\d+) \|/gm)].map(([, name = '', floor]) => [
      name,
      floor,
    ])
    assert.deepEqual(Object.fromEntries(told), versionFloors)
  })

  it('has one copy of undici, so that every connection comes from the client that was checked', () => {
    const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')
    assert.equal(lock.match(/"node_modules\/(.*\/)?undici": \{/g)?.length, 1)
  })
})

/** "src/proxy/guard.ts" -> "proxy", "src/upstreams.ts" -> "app". */
function partOf(file: string): string {
  const part = basename(file.split('/')[1] ?? '', '.ts')
  return composition.includes(part) ? 'app' : part
}

function allowed(module: Module, { target, typeOnly }: Import): boolean {
  const own = partOf(module.file)
  const rule = rules[own]
  if (rule === undefined || partOf(target) === own) return true
  if (joints.includes(module.file) && ['oauth', 'stores'].includes(partOf(target))) return true
  const path = target.slice('src/'.length).replace(/\.ts$/, '')
  const names = typeOnly ? [...rule.runs, ...(rule.types ?? [])] : rule.runs
  return names.includes(path) || names.includes(partOf(target))
}

/** Cycles of imports that exist while running; types that know each other are one idea in two files. */
function cycles(): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) {
      found.push([...path.slice(start), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const { target, typeOnly } of source.get(file)?.imports ?? []) if (!typeOnly) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of source.keys()) visit(file, [])
  return found
}

/** Places outside `except` where an expression such as process.env is used. */
function uses(pattern: RegExp, except: readonly string[]): string[] {
  const found: string[] = []
  for (const { file, source: tree } of modules) {
    if (except.includes(file)) continue
    const visit = (node: ts.Node): void => {
      const access = ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)
      if (access && pattern.test(node.getText())) {
        found.push(`${file}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`)
      } else ts.forEachChild(node, visit)
    }
    visit(tree)
  }
  return found
}

function compareVersions(left: string, right: string): number {
  const [a, b] = [left, right].map((version) => version.split(/[.-]/).slice(0, 3).map(Number)) as [number[], number[]]
  return a.map((part, index) => part - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0
}
