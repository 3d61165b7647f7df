import { globSync, readFileSync } from 'node:fs'
import { join, posix, resolve, sep } from 'node:path'
import ts from 'typescript'

/** One import, re-export or dynamic import of a module. */
export interface Import {
  /** Path from the project's root for a relative import, else the specifier as written. */
  readonly target: string
  /** Names taken from the target; '*' stands for all of them. */
  readonly names: readonly string[]
  /** Erased at compile time: no dependency while running. */
  readonly typeOnly: boolean
  /** import() in an expression: a dependency, but one that is loaded when it is needed. */
  readonly lazy: boolean
  readonly line: number
}

export interface Module {
  /** Path from the project's root, with forward slashes. */
  readonly file: string
  readonly source: ts.SourceFile
  readonly lines: number
  readonly imports: readonly Import[]
}

export const root = resolve(import.meta.dirname, '..')

/** Parses the files that match the patterns (no type information: this takes a fraction of a second). */
export function readModules(...patterns: string[]): Map<string, Module> {
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root }))
  return new Map(files.sort().map((file) => [file.split(sep).join('/'), parse(file.split(sep).join('/'))]))
}

function parse(file: string): Module {
  const text = readFileSync(join(root, file), 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true)
  const imports: Import[] = []
  const add = (node: ts.Node, specifier: string, names: string[], typeOnly: boolean, lazy: boolean) => {
    const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1
    imports.push({ target: target(file, specifier), names, typeOnly, lazy, line })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.importClause
      add(node, node.moduleSpecifier.text, importedNames(clause), onlyTypes(clause), false)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.exportClause
      const names =
        clause && ts.isNamedExports(clause) ? clause.elements.map((e) => (e.propertyName ?? e.name).text) : ['*']
      add(node, node.moduleSpecifier.text, names, node.isTypeOnly, false)
    } else if (
      ts.isImportTypeNode(node) &&
      ts.isLiteralTypeNode(node.argument) &&
      ts.isStringLiteral(node.argument.literal)
    ) {
      add(node, node.argument.literal.text, [node.qualifier?.getText().split('.')[0] ?? '*'], true, false)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments
      if (specifier && ts.isStringLiteral(specifier)) add(node, specifier.text, lazyNames(node), false, true)
    } else if (ts.isNewExpression(node) && node.expression.getText() === 'URL') {
      // new URL('./worker.js', import.meta.url): the way to name a worker or a child process.
      const [specifier, base] = node.arguments ?? []
      if (
        specifier &&
        base?.getText() === 'import.meta.url' &&
        ts.isStringLiteral(specifier) &&
        /\.[jt]s$/.test(specifier.text)
      ) {
        add(node, specifier.text.replace(/\.js$/, '.ts'), [], false, true)
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { file, source, lines: text.split('\n').length - 1, imports }
}

function target(file: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier
}

function importedNames(clause: ts.ImportClause | undefined): string[] {
  const names = clause?.name ? ['default'] : []
  const bindings = clause?.namedBindings
  if (bindings && ts.isNamespaceImport(bindings)) names.push('*')
  if (bindings && ts.isNamedImports(bindings))
    names.push(...bindings.elements.map((e) => (e.propertyName ?? e.name).text))
  return names
}

function onlyTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const bindings = clause.namedBindings
  return !clause.name && !!bindings && ts.isNamedImports(bindings) && bindings.elements.every((e) => e.isTypeOnly)
}

/** `const { a, b } = await import()` and `(await import()).a` take those names; anything else takes all. */
function lazyNames(call: ts.CallExpression): string[] {
  let node: ts.Node = call.parent
  const awaited = ts.isAwaitExpression(node)
  while (ts.isAwaitExpression(node) || ts.isParenthesizedExpression(node)) node = node.parent
  if (awaited && ts.isPropertyAccessExpression(node)) return [node.name.text]
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    return node.name.elements.map((e) => (e.propertyName ?? e.name).getText())
  }
  return ['*']
}

/** The package that a bare specifier names: "@scope/name/sub" -> "@scope/name". */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
