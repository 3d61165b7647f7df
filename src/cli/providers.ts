import { stringify } from 'yaml'
import { didYouMean } from '../config/suggest.ts'
import { providers, type Provider } from '../providers/provider.ts'
import type { Io } from './io.ts'

export interface ProvidersOptions {
  readonly json?: boolean
}

/** Lists the presets, or shows all that is known of one. Exit code 2 for a name that does not exist. */
export function providersCommand(name: string | undefined, options: ProvidersOptions, io: Io): number {
  if (name === undefined) {
    const all = [...providers.values()]
    io.stdout(options.json === true ? `${JSON.stringify(all, null, 2)}\n` : table(all))
    return 0
  }
  const provider = providers.get(name)
  if (provider === undefined) {
    io.stderr(`there is no such preset${didYouMean(name, providers.keys())} Run: bearer-sidecar providers\n`)
    return 2
  }
  io.stdout(options.json === true ? `${JSON.stringify(provider, null, 2)}\n` : page(provider))
  return 0
}

function table(all: readonly Provider[]): string {
  const width = Math.max(...all.map(({ name }) => name.length))
  const lines = all.map(({ name, title, status }) => `${name.padEnd(width)}  ${title} (${status})`)
  return [...lines, '', 'Details and defaults: bearer-sidecar providers NAME', ''].join('\n')
}

function page(provider: Provider): string {
  const { name, title, documentation, status, upstream, settings, headers, limits, notes, credential } = provider
  const section = (heading: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', `${heading}:`, ...lines]
  const settingLines = Object.entries(settings).map(([key, { description, example, default: byDefault }]) => {
    const kind = byDefault === undefined ? `required, such as ${example}` : `default ${byDefault}`
    return `  ${key}  ${description} (${kind})`
  })
  const limitLines = limits.map(({ plan, perSecond, perDay }) => {
    const parts = [perSecond !== undefined && `perSecond: ${perSecond}`, perDay !== undefined && `perDay: ${perDay}`]
    return `  ${plan}: rateLimit: { ${parts.filter((part) => part !== false).join(', ')} }`
  })
  return [
    `${name}: ${title}`,
    '',
    `documentation  ${documentation}`,
    `status         ${status}`,
    ...(upstream === undefined ? [] : [`upstream       ${upstream}`]),
    ...section('settings (credentials.<name>.settings)', settingLines),
    ...section(
      'headers that the API wants',
      Object.entries(headers).map(([header, about]) => `  ${header}  ${about}`),
    ),
    ...section('published limits, to be set on a route if wanted', limitLines),
    ...section(
      'good to know',
      notes.map((note) => `  - ${note}`),
    ),
    '',
    'defaults of a credential with this preset:',
    Object.keys(credential).length === 0
      ? '  (those of docs/configuration.md)\n'
      : indent(stringify(credential, { lineWidth: 0 })),
  ].join('\n')
}

const indent = (text: string) => text.replace(/^(?=.)/gm, '  ')
