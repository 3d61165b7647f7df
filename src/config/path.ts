/** Where a value stands in the config: keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/** A path as one text, for maps. */
export const pathKey = (path: Path) => path.join('\0')

/** A path for people: credentials.sky.headers["a b"], routes[0].path. */
export function formatPath(path: Path): string {
  const text = path.map((part) => {
    if (typeof part === 'number') return `[${part}]`
    return /^[A-Za-z0-9_-]+$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`
  })
  return text.join('').replace(/^\./, '')
}

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value at a path; undefined where there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}

/** Sets (or with undefined removes) what stands at a path; missing maps on the way are made. Does nothing where something else is in the way. */
export function setAt(root: Record<string, unknown>, path: Path, value: unknown): void {
  let map: Record<string | number, unknown> = root
  for (const part of path.slice(0, -1)) {
    if (!Object.hasOwn(map, part) || map[part] === null) map[part] = {}
    const next = map[part]
    if (typeof next !== 'object' || next === null) return
    map = next as Record<string | number, unknown>
  }
  const last = path.at(-1)
  if (last === undefined) return
  if (value !== undefined) map[last] = value
  else if (!Array.isArray(map)) Reflect.deleteProperty(map, last)
}

/** True when one of the two lies on the way to the other. */
export function related(a: Path, b: Path): boolean {
  const length = Math.min(a.length, b.length)
  return a.slice(0, length).every((part, index) => String(part) === String(b[index]))
}
