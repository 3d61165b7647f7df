import { randomUUID } from 'node:crypto'
import type { TokenSet } from '../tokens/token-set.ts'
import { canonicalName } from './field-names.ts'
import type { RouteCredential } from './setup.ts'

/** Appends name and value of one injected header. `keys` holds, per credential, the position to use of its header lists. */
type Injection = (into: string[], tokens: readonly TokenSet[], keys: readonly number[]) => void

/** What is sent with every request of a route: tokens, then the credentials' headers, then the route's; later ones win. */
export class InjectedHeaders {
  /** Canonical names; a caller's own fields of these names never pass. */
  readonly names: ReadonlySet<string>
  /** Indexes of the credentials with a header list that the route does not override. */
  readonly keyed: ReadonlySet<number>
  readonly #injections: readonly Injection[]

  constructor(credentials: readonly RouteCredential[], routeHeaders: Readonly<Record<string, string>>) {
    const byName = new Map<string, { readonly inject: Injection; readonly keyOwner?: number }>()
    credentials.forEach(({ config: { inject } }, index) => {
      byName.set(canonicalName(inject.header), { inject: token(inject.header, inject.value, index) })
    })
    credentials.forEach(({ config: { headers } }, index) => {
      for (const [name, value] of Object.entries(headers)) {
        byName.set(
          canonicalName(name),
          typeof value === 'string'
            ? { inject: fixed(name, value) }
            : { inject: listed(name, value, index), keyOwner: index },
        )
      }
    })
    for (const [name, value] of Object.entries(routeHeaders)) {
      byName.set(canonicalName(name), { inject: fixed(name, value) })
    }
    const injections = [...byName.values()]
    this.names = new Set(byName.keys())
    this.keyed = new Set(injections.map(({ keyOwner }) => keyOwner).filter((owner) => owner !== undefined))
    this.#injections = injections.map(({ inject }) => inject)
  }

  append(into: string[], tokens: readonly TokenSet[], keys: readonly number[]): void {
    for (const inject of this.#injections) inject(into, tokens, keys)
  }
}

function token(name: string, template: string, index: number): Injection {
  const pieces = onWire(name, template).split('{token}')
  const [before = '', after = ''] = pieces
  const single = pieces.length === 2
  return (into, tokens) => {
    const accessToken = tokens[index]?.accessToken ?? ''
    into.push(name, single ? before + accessToken + after : pieces.join(accessToken))
  }
}

function fixed(name: string, template: string): Injection {
  const value = onWire(name, template)
  if (!value.includes('{uuid}')) return (into) => into.push(name, value)
  return (into) =>
    into.push(
      name,
      value.replaceAll('{uuid}', () => randomUUID()),
    )
}

function listed(name: string, templates: readonly string[], index: number): Injection {
  const values = templates.map((template) => fixed(name, template))
  return (into, tokens, keys) => values[(keys[index] ?? 0) % values.length]?.(into, tokens, keys)
}

/** A line break from a file or the environment would end the header and begin one of its own: refused before anything is served. */
function onWire(name: string, value: string): string {
  if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new Error(`the value of the header ${name} holds a control character or one beyond Latin-1`)
  }
  return value
}
