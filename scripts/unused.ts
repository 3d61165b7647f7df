/**
 * Finds what nothing uses: exports of src that no other file imports, files of src that the program never reaches,
 * packages of package.json that nothing imports, and imported packages that package.json does not list.
 * The compiler's noUnusedLocals and noUnusedParameters see the rest. Prints one line per finding; exit code 1 when there is any.
 */
import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import ts from 'typescript'
import { packageOf, readModules, root, type Module } from './import-graph.ts'

/** Packages that are used without being imported, each with what uses it. */
const usedElsewhere: Readonly<Record<string, string>> = {
  node: 'runs every npm script',
  typescript: 'tsc',
  '@types/node': 'types of node:*',
}

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const source = readModules('src/**/*.ts')
const everything = readModules(
  'src/**/*.ts',
  'test/**/*.ts',
  'bench/**/*.ts',
  'scripts/**/*.ts',
  'examples/**/*.ts',
  '*.js',
)
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

const findings = [
  ...unusedExports(),
  ...unreachableFiles('src/cli/main.ts'),
  ...unusedPackages(),
  ...unlistedPackages(),
]
for (const finding of findings) console.error(finding)
if (findings.length > 0) process.exitCode = 1

function unusedExports(): string[] {
  const taken = new Map<string, Set<string>>()
  for (const module of everything.values()) {
    for (const { target, names } of module.imports) {
      const known = taken.get(target) ?? new Set()
      for (const name of names) known.add(name)
      taken.set(target, known)
    }
  }
  return [...source.values()].flatMap((module) => {
    const names = taken.get(module.file) ?? new Set()
    if (names.has('*')) return []
    return exportsOf(module)
      .filter(({ name, type }) => !names.has(name) && !(type && mentions(module, name) > 1))
      .map(({ name, line }) => `${module.file}:${line} export "${name}" is imported nowhere`)
  })
}

/** A type that an exported signature of its own file uses is exported for readers of that signature. */
function mentions(module: Module, name: string): number {
  let count = 0
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && node.text === name) count++
    ts.forEachChild(node, visit)
  }
  visit(module.source)
  return count
}

function exportsOf({ source: file }: Module): { name: string; type: boolean; line: number }[] {
  return file.statements.flatMap((statement) => {
    const line = file.getLineAndCharacterOfPosition(statement.getStart()).line + 1
    if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)) {
      return statement.exportClause.elements.map((e) => ({ name: e.name.text, type: statement.isTypeOnly, line }))
    }
    if (!ts.canHaveModifiers(statement)) return []
    const modifiers = ts.getModifiers(statement) ?? []
    if (!modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)) return []
    if (modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword))
      return [{ name: 'default', type: false, line }]
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map((d) => ({ name: d.name.getText(), type: false, line }))
    }
    if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      return [{ name: statement.name?.text ?? 'default', type: false, line }]
    }
    if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) {
      return [{ name: statement.name.text, type: true, line }]
    }
    return []
  })
}

function unreachableFiles(entry: string): string[] {
  const reached = new Set<string>()
  const queue = [entry]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    queue.push(...(source.get(file)?.imports.map((found) => found.target) ?? []))
  }
  return [...source.keys()].filter((file) => !reached.has(file)).map((file) => `${file} is not reachable from ${entry}`)
}

function unusedPackages(): string[] {
  const scripts = Object.values(manifest.scripts).join('\n') + readFileSync(join(root, '.ci/run'), 'utf8')
  const runtime = { ...manifest.dependencies, ...manifest.optionalDependencies }
  const imported = (modules: Map<string, Module>) =>
    new Set([...modules.values()].flatMap(({ imports }) => imports.map((found) => packageOf(found.target))))
  const bySource = imported(source)
  const byAll = imported(everything)
  // A pino transport is named in a string and loaded by a worker thread.
  const named = (name: string) => [...source.values()].some((module) => module.source.text.includes(`'${name}'`))
  return [
    ...Object.keys(runtime)
      .filter((name) => !bySource.has(name) && !named(name))
      .map((name) => `package.json: dependency "${name}" is used nowhere in src`),
    ...Object.keys(manifest.devDependencies)
      .filter((name) => !byAll.has(name) && !(name in usedElsewhere) && !typesOfUsed(name, byAll))
      .filter((name) => !new RegExp(`\\b${name}\\b`).test(scripts))
      .map((name) => `package.json: devDependency "${name}" is used nowhere`),
  ]
}

function typesOfUsed(name: string, used: ReadonlySet<string>): boolean {
  return name.startsWith('@types/') && used.has(name.slice('@types/'.length))
}

function unlistedPackages(): string[] {
  const runtime = new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }))
  const all = new Set([...runtime, ...Object.keys(manifest.devDependencies), 'bearer-sidecar'])
  return [...everything.values()].flatMap((module) =>
    module.imports
      .filter(({ target }) => !target.includes('.ts') && !target.endsWith('.js') && !isBuiltin(target))
      .filter(({ target }) => !(module.file.startsWith('src/') ? runtime : all).has(packageOf(target)))
      .map(
        ({ target, line }) =>
          `${module.file}:${line} imports "${packageOf(target)}", which package.json does not list for it`,
      ),
  )
}
