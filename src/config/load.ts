import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Provider } from '../providers/provider.ts'
import { decode } from './decode.ts'
import { environmentOverrides, misspeltVariables, withDotEnv, type Environment, type Override } from './environment.ts'
import { ReferencedFiles, reason } from './files.ts'
import { interpolate, type Lookup } from './interpolation.ts'
import { materialise } from './materialise.ts'
import { isMap, setAt, valueAt, type Path } from './path.ts'
import { applyPreset } from './preset-fields.ts'
import { ConfigError, Findings, type Place, type Problem } from './problems.ts'
import { configSchema, type Config } from './schema.ts'
import { Sources } from './sources.ts'
import { proxyVariableFaults } from './validate-egress.ts'
import { validate, type Presets } from './validate.ts'
import { YamlSource } from './yaml-source.ts'

export interface LoadOptions {
  /** --config; relative to cwd. */
  readonly file?: string | undefined
  /** The process environment: nothing else in the program reads it. */
  readonly env: Environment
  readonly cwd: string
  /** Settings given as flags. */
  readonly overrides?: { readonly listen?: string | undefined; readonly adminListen?: string | undefined } | undefined
}

export interface LoadedConfig {
  readonly config: Config
  /** Absolute path of the config file. */
  readonly file: string
  /** Absolute paths of all files that took part, the config file first: when one changes, the configuration may. */
  readonly files: readonly string[]
  readonly warnings: readonly Problem[]
  /** Where each value came from. */
  readonly sources: Sources
}

/** Reads and checks the whole configuration. Rejects with ConfigError, which holds every problem at once. */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { shown, file, text } = await readConfigFile(options)
  const files = new ReferencedFiles(dirname(file))
  const dotEnv = withDotEnv(options.env, dirname(file))
  const yaml = new YamlSource(text)
  const involved = () => [file, ...(dotEnv.file === undefined ? [] : [dotEnv.file]), ...files.paths]
  if (!yaml.readable) {
    const problems = yaml.errors.map(({ message, position }) => ({ path: '', message, file: shown, ...position }))
    throw new ConfigError(problems, [], involved())
  }

  const sources = new Sources(shown, yaml)
  const findings = new Findings((path, at) => sources.place(path, at))
  for (const { message, position } of yaml.errors) findings.addAt({ file: shown, ...position }, message)
  if (dotEnv.problem !== undefined) findings.addAt(nowhere(shown), dotEnv.problem)
  for (const { variable, meant } of misspeltVariables(dotEnv.environment)) {
    findings.addAt(nowhere(`$${variable}`), `is no setting and is ignored; did you mean ${meant}?`, 'warning')
  }

  const lookup: Lookup = { variable: (name) => dotEnv.environment[name], file: (path) => files.read(path) }
  const tree = expandTree(yaml.value, lookup, sources, findings)
  for (const override of [...environmentOverrides(dotEnv.environment), ...flagOverrides(options)]) {
    applyOverride(tree, override, sources)
  }
  const settings = materialise(configSchema, tree, [], {
    files,
    report: (finding) => {
      findings.add(finding)
      const last = String(finding.path.at(-1))
      if (last.endsWith('File')) findings.mute([...finding.path.slice(0, -1), last.slice(0, -'File'.length)])
    },
    written: (path) => yaml.text(path),
    onTwin: (setting, twin) => sources.alias(setting, twin),
  }) as Record<string, unknown>
  applyDefaultKey(settings, dotEnv.environment, sources)
  const presets = applyPresets(settings, sources, findings)

  const decoded = decode(settings)
  for (const finding of decoded.findings) findings.addUnlessTold(finding)
  const config = complete(decoded.config, presets, files, sources)
  findings.addConsequences(validate(config, presets))
  for (const { variable, message } of proxyVariableFaults(config, options.env)) {
    findings.addAt(nowhere(`$${variable}`), message)
  }

  const problems = findings.list('problem')
  const warnings = findings.list('warning')
  if (problems.length > 0) throw new ConfigError(problems, warnings, involved())
  return { config, file, files: involved(), warnings, sources }
}

const nowhere = (file: string): Place => ({ file, line: null, column: null })

/** Where the config file is looked for when neither --config nor $BEARER_SIDECAR_CONFIG names it. */
const defaultFiles = ['bearer-sidecar.yaml', '/etc/bearer-sidecar/config.yaml']

async function readConfigFile({ file, env, cwd }: LoadOptions): Promise<{ shown: string; file: string; text: string }> {
  const fromEnvironment = env['BEARER_SIDECAR_CONFIG']
  const named = file ?? (fromEnvironment === '' ? undefined : fromEnvironment)
  for (const shown of named === undefined ? defaultFiles : [named]) {
    const path = resolve(cwd, shown)
    try {
      return { shown, file: path, text: await readFile(path, 'utf8') }
    } catch (error) {
      const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (absent && named === undefined) continue
      const message = `cannot read the configuration: ${reason(error)}`
      throw new ConfigError([{ path: '', message, ...nowhere(shown) }], [], [path])
    }
  }
  const message = `no configuration here, nor ${defaultFiles[1] ?? ''}; run: bearer-sidecar init (or name a file with --config)`
  throw new ConfigError([{ path: '', message, ...nowhere(defaultFiles[0] ?? '') }])
}

/** Replaces every reference in every text. Always a map, as the rest expects. */
function expandTree(root: unknown, lookup: Lookup, sources: Sources, findings: Findings): Record<string, unknown> {
  const expand = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') {
      const { text, problems, origins } = interpolate(value, lookup)
      for (const message of problems) findings.add({ path, message })
      if (problems.length > 0) findings.mute(path)
      sources.note(path, origins)
      return text
    }
    if (Array.isArray(value)) return value.map((item, index) => expand(item, [...path, index]))
    if (!isMap(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, expand(item, [...path, key])]))
  }
  if (isMap(root)) return expand(root, []) as Record<string, unknown>
  if (root !== null && root !== undefined) findings.add({ path: [], message: 'the file must hold a map of settings' })
  return root === null || root === undefined ? {} : { version: 1 }
}

function flagOverrides({ overrides = {} }: LoadOptions): Override[] {
  const flags = [
    { path: ['proxy', 'listen'], value: overrides.listen, source: '--listen' },
    { path: ['admin', 'listen'], value: overrides.adminListen, source: '--admin-listen' },
  ]
  return flags.flatMap(({ value, ...flag }) => (value === undefined ? [] : [{ ...flag, value }]))
}

/** A secret and its File twin replace each other. */
function applyOverride(tree: Record<string, unknown>, { path, value, source }: Override, sources: Sources): void {
  const last = String(path.at(-1))
  const other = last.endsWith('File') ? last.slice(0, -'File'.length) : `${last}File`
  setAt(tree, [...path.slice(0, -1), other], undefined)
  setAt(tree, path, value)
  sources.override(path, source)
}

function applyDefaultKey(tree: Record<string, unknown>, environment: Environment, sources: Sources): void {
  const path = ['store', 'encryptionKey']
  const key = environment['BEARER_SIDECAR_KEY']
  const present = valueAt(tree, path)
  if (key === undefined || key === '' || (present !== undefined && present !== null && present !== '')) return
  setAt(tree, path, key)
  sources.override(path, '$BEARER_SIDECAR_KEY')
}

function applyPresets(tree: Record<string, unknown>, sources: Sources, findings: Findings): Presets {
  const presets = new Map<string, Provider>()
  const credentials = tree['credentials']
  if (!isMap(credentials)) return presets
  for (const [name, credential] of Object.entries(credentials)) {
    if (!isMap(credential)) continue
    const path = ['credentials', name]
    const applied = applyPreset(credential, path)
    for (const finding of applied.findings) findings.add(finding)
    if (applied.provider === undefined) findings.mute(path)
    else {
      presets.set(name, applied.provider)
      sources.preset(path, applied.provider)
    }
    credentials[name] = applied.credential
  }
  return presets
}

/** rewriteLinks: null means what the presets of the route's credentials say; the store's folder is absolute, its default too. */
function complete(config: Config, presets: Presets, files: ReferencedFiles, sources: Sources): Config {
  const directory = files.resolve(config.store.directory)
  const routes = config.routes.map((route, index) => {
    if (route.rewriteLinks !== null) return route
    const names = [route.credential].flat()
    const preset = names.map((name) => presets.get(name)).find((provider) => provider?.rewriteLinks === true)
    if (preset !== undefined) sources.derive(['routes', index, 'rewriteLinks'], `preset ${preset.name}`)
    return { ...route, rewriteLinks: preset !== undefined }
  })
  return { ...config, store: { ...config.store, directory }, routes }
}
