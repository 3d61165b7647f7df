import { providers, resolvePreset, type Provider } from '../providers/provider.ts'
import { isMap, type Path } from './path.ts'
import type { Finding } from './problems.ts'
import { didYouMean } from './suggest.ts'

export interface AppliedPreset {
  /** The user's credential over the preset's fields. */
  readonly credential: Record<string, unknown>
  readonly provider: Provider | undefined
  readonly findings: readonly Finding[]
}

/** Lays a preset's fields under a credential: maps are merged, lists and texts replaced. An empty text does not replace. */
export function applyPreset(credential: Record<string, unknown>, path: Path): AppliedPreset {
  const name = credential['provider'] ?? 'generic'
  const provider = typeof name === 'string' ? providers.get(name) : undefined
  if (provider === undefined) {
    const known = [...providers.keys()]
    const message = `is no preset${didYouMean(name, known)} (bearer-sidecar providers lists them: ${known.join(', ')})`
    return { credential, provider, findings: [{ path: [...path, 'provider'], message }] }
  }
  const findings: Finding[] = []
  const settings = isMap(credential['settings']) ? credential['settings'] : {}
  const given = Object.entries(settings).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  for (const [setting, value] of given) {
    const at = [...path, 'settings', setting]
    if (!Object.hasOwn(provider.settings, setting)) {
      const known = Object.keys(provider.settings)
      const which = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`
      findings.push({
        path: at,
        message: `no setting of ${provider.name}, ${which}${didYouMean(setting, known)}`,
        at: 'key',
      })
    } else if (!/^[A-Za-z0-9._~:-]*$/.test(value)) {
      findings.push({ path: at, message: 'goes into a URL: only letters, digits and . _ ~ : - are possible' })
    }
  }
  const resolved = resolvePreset(provider, Object.fromEntries(given))
  const needed = new Set(
    resolved.missing.filter((missing) => !isGiven(credential, missing.path)).map(({ setting }) => setting),
  )
  for (const setting of needed) {
    const about = provider.settings[setting]
    const hint = about === undefined ? '' : `: ${about.description}, such as ${about.example}`
    findings.push({
      path: [...path, 'settings', setting],
      message: `is required by ${provider.name}${hint}`,
      at: 'key',
    })
  }
  return { credential: merge(resolved.fields, credential), provider, findings }
}

function isGiven(credential: unknown, path: readonly string[]): boolean {
  let value = credential
  for (const part of path) {
    if (!isMap(value)) return value !== undefined && value !== ''
    value = value[part]
  }
  return value !== undefined && value !== ''
}

/** Field names of headers are the same in any case, so keys are compared that way. */
function merge(
  under: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...over }
  for (const [key, value] of Object.entries(under)) {
    const same = Object.keys(over).find((other) => other.toLowerCase() === key.toLowerCase())
    const own = same === undefined ? undefined : over[same]
    if (same === undefined) result[key] = value
    else if (own === '') result[same] = value
    else if (isMap(value) && isMap(own)) result[same] = merge(value, own)
  }
  return result
}
