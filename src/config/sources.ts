import type { Provider } from '../providers/provider.ts'
import { formatPath, pathKey, valueAt, type Path } from './path.ts'
import type { Finding, Place, Problem } from './problems.ts'
import type { YamlSource } from './yaml-source.ts'

/** Where each value came from: for the place of a problem and for `config print`. Names of variables and files, never values. */
export class Sources {
  readonly #file: string
  readonly #yaml: YamlSource
  readonly #origins = new Map<string, readonly string[]>()
  readonly #overrides = new Map<string, string>()
  readonly #twins = new Map<string, Path>()
  readonly #derived = new Map<string, string>()
  readonly #presets = new Map<string, Provider>()

  constructor(file: string, yaml: YamlSource) {
    this.#file = file
    this.#yaml = yaml
  }

  /** The references (`$NAME`) that a text of the file holds. */
  note(path: Path, origins: readonly string[]): void {
    if (origins.length > 0) this.#origins.set(pathKey(path), origins)
  }

  /** The value did not come from the file but from a variable or a flag. */
  override(path: Path, source: string): void {
    this.#overrides.set(pathKey(path), source)
  }

  /** The value came from the file that another setting names. */
  alias(path: Path, twin: Path): void {
    this.#twins.set(pathKey(path), twin)
  }

  /** A preset was laid under the credential at this path. */
  preset(path: Path, provider: Provider): void {
    this.#presets.set(pathKey(path), provider)
  }

  /** The value was worked out, as rewriteLinks: null is from the preset. */
  derive(path: Path, from: string): void {
    this.#derived.set(pathKey(path), from)
  }

  place(path: Path, at: 'key' | 'value'): Place {
    const override = this.#overridden(path)
    if (override !== undefined) return { file: override, line: null, column: null }
    return { file: this.#file, ...this.#yaml.position(this.#twins.get(pathKey(path)) ?? path, at) }
  }

  /** A finding with its place. */
  problem({ path, message, at = 'value' }: Finding): Problem {
    return { path: formatPath(path), message, ...this.place(path, at) }
  }

  /** For people: "bearer-sidecar.yaml:12 from $SKY_CLIENT_ID", "$BEARER_SIDECAR_LOG_LEVEL", "preset blackbaud-sky", "default". */
  describe(path: Path): string {
    const special = this.#overridden(path) ?? this.#derived.get(pathKey(path))
    if (special !== undefined) return special
    const twin = this.#twins.get(pathKey(path))
    const place = twin ?? path
    if (this.#yaml.has(place)) {
      const line = `${this.#file}:${this.#yaml.position(place, 'value').line}`
      const origins = [...this.#origins].flatMap(([key, names]) => (isWithin(key, pathKey(place)) ? names : []))
      if (twin !== undefined) return `${line} from a file`
      return origins.length === 0 ? line : `${line} from ${[...new Set(origins)].join(', ')}`
    }
    const provider = this.#presets.get(pathKey(path.slice(0, 2)))
    if (provider !== undefined && valueAt(provider.credential, path.slice(2)) !== undefined)
      return `preset ${provider.name}`
    return 'default'
  }

  #overridden(path: Path): string | undefined {
    for (let length = path.length; length > 0; length--) {
      const source = this.#overrides.get(pathKey(path.slice(0, length)))
      if (source === undefined) continue
      // clientSecretFile in the environment: the setting that it stands for has that name, too.
      return source
    }
    const twin = this.#twins.get(pathKey(path))
    return twin === undefined ? undefined : this.#overrides.get(pathKey(twin))
  }
}

const isWithin = (key: string, container: string) => key === container || key.startsWith(`${container}\0`)
