import type { CredentialInput } from '../config/schema.ts'
import { presets } from './presets.ts'

/** A value that a preset's URLs need and that differs from customer to customer. */
export interface ProviderSetting {
  readonly description: string
  readonly example: string
  /** Without one the user has to give it. */
  readonly default?: string
}

export interface PublishedLimit {
  readonly plan: string
  readonly perSecond?: number
  readonly perDay?: number
}

/** What is known of a provider, as data. Nothing here is more than a default that a user can override. */
export interface Provider {
  readonly name: string
  readonly title: string
  /** The provider's own page about its OAuth. */
  readonly documentation: string
  readonly status: 'tested against the simulator' | 'untested against the live service'
  /** An upstream to begin with; undefined where each customer has another. */
  readonly upstream?: string
  readonly settings: Readonly<Record<string, ProviderSetting>>
  /** Header fields that the API wants beside the token, each with a sentence: check warns when one is missing. */
  readonly headers: Readonly<Record<string, string>>
  /** Scopes without which no refresh token comes: check warns when one is missing. */
  readonly neededScopes: readonly string[]
  /** What rewriteLinks: null of a route means. */
  readonly rewriteLinks: boolean
  /** Published limits, to be copied into a route's rateLimit by those who want them kept. */
  readonly limits: readonly PublishedLimit[]
  /** What a user should know before it hurts. */
  readonly notes: readonly string[]
  /** Laid under the user's credential. `{setting}` in a text stands for a value of `settings`. */
  readonly credential: Omit<CredentialInput, 'provider' | 'clientId' | 'clientSecret' | 'refreshToken' | 'settings'>
}

export const providers: ReadonlyMap<string, Provider> = new Map(presets.map((preset) => [preset.name, preset]))

/** A preset's fields for the given settings. */
export interface ResolvedPreset {
  readonly fields: Readonly<Record<string, unknown>>
  /** Settings that a field needs and that have no value: the path of the field, and the setting's name. */
  readonly missing: readonly { readonly path: readonly string[]; readonly setting: string }[]
}

/** Fills the placeholders of a preset from `settings`; those of other kinds, such as {token} and {uuid}, stay. */
export function resolvePreset(provider: Provider, settings: Readonly<Record<string, string>>): ResolvedPreset {
  const missing: { path: readonly string[]; setting: string }[] = []
  const fill = (value: unknown, path: readonly string[]): unknown => {
    if (typeof value === 'string') {
      return value.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
        const setting = Object.hasOwn(provider.settings, name) ? provider.settings[name] : undefined
        if (setting === undefined) return placeholder
        const given = Object.hasOwn(settings, name) ? settings[name] : undefined
        const text = given === undefined || given === '' ? setting.default : given
        if (text === undefined) missing.push({ path, setting: name })
        return text ?? placeholder
      })
    }
    if (Array.isArray(value)) return value.map((item, index) => fill(item, [...path, String(index)]))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, [...path, key])]))
  }
  return { fields: fill(provider.credential, []) as Record<string, unknown>, missing }
}
