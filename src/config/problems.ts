import { formatPath, related, type Path } from './path.ts'

/** One thing that is wrong (or, as a warning, doubtful) in the configuration. Holds names, never a value. */
export interface Problem {
  /** The setting, such as credentials.sky.clientSecret; empty when the whole file is meant. */
  readonly path: string
  readonly message: string
  /** The config file as the user named it, or the variable or flag that gave the value. */
  readonly file: string
  /** From 1; null where the value does not stand in the file. */
  readonly line: number | null
  readonly column: number | null
}

export type Severity = 'problem' | 'warning'

/** What a rule found: pure, without a place yet. `at` says whether the key or the value is to be pointed at. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly severity?: Severity
  readonly at?: 'key' | 'value'
  /** The last key of the path may be a secret in the wrong place: it is pointed at but not repeated. */
  readonly hidesKey?: boolean
}

export type Place = Pick<Problem, 'file' | 'line' | 'column'>

/** `FILE:LINE:COL path: problem`, the form that editors and terminals turn into links. */
export function formatProblem({ path, message, file, line, column }: Problem): string {
  const place = line === null || column === null ? file : `${file}:${line}:${column}`
  return path === '' ? `${place}: ${message}` : `${place} ${path}: ${message}`
}

/** The configuration is missing or invalid: exit code 78 at the start, the old one goes on at a reload. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** All of them, in the order of the file. */
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** The files that were looked at, so that a mended one is noticed. */
  readonly files: readonly string[]

  constructor(problems: readonly Problem[], warnings: readonly Problem[] = [], files: readonly string[] = []) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
    this.warnings = warnings
    this.files = files
  }
}

/** Collects everything that is found, gives each finding its place, and keeps one problem from being told twice. */
export class Findings {
  readonly #locate: (path: Path, at: 'key' | 'value') => Place
  readonly #found: { path: Path; severity: Severity; problem: Problem }[] = []
  readonly #muted: Path[] = []

  constructor(locate: (path: Path, at: 'key' | 'value') => Place) {
    this.#locate = locate
  }

  add({ path, message, severity = 'problem', at = 'value', hidesKey = false }: Finding): void {
    const problem = { path: formatPath(hidesKey ? path.slice(0, -1) : path), message, ...this.#locate(path, at) }
    const told = (other: Problem) =>
      other.path === problem.path && other.line === problem.line && other.message === message
    if (!this.#found.some((other) => told(other.problem))) this.#found.push({ path, severity, problem })
  }

  /** Something that has no setting: a syntax error, a variable. */
  addAt(place: Place, message: string, severity: Severity = 'problem'): void {
    this.#found.push({ path: [], severity, problem: { path: '', message, ...place } })
  }

  /** Left out when this very setting has a problem already: an unset variable makes a value that is wrong in other ways, too. */
  addUnlessTold(finding: Finding): void {
    const path = formatPath(finding.path)
    const told = this.#found.some((other) => other.severity === 'problem' && path !== '' && other.problem.path === path)
    if (!told || finding.at === 'key') this.add(finding)
  }

  /** What rules between settings found; consequences of a problem that was told before are left out. */
  addConsequences(findings: readonly Finding[]): void {
    const known = this.#found.filter(({ severity }) => severity === 'problem').map(({ path }) => path)
    const causes = [...known, ...this.#muted].filter((path) => path.length > 0)
    for (const finding of findings) if (!causes.some((path) => related(path, finding.path))) this.add(finding)
  }

  /** Nothing that a rule between settings finds beneath this path is worth telling. */
  mute(path: Path): void {
    this.#muted.push(path)
  }

  /** In the order of the file. */
  list(severity: Severity): Problem[] {
    const order = (problem: Problem) => [problem.line ?? 0, problem.column ?? 0] as const
    return this.#found
      .filter((found) => found.severity === severity)
      .map(({ problem }) => problem)
      .sort((a, b) => order(a)[0] - order(b)[0] || order(a)[1] - order(b)[1])
  }
}
