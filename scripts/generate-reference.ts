import { writeFileSync } from 'node:fs'
import { configJsonSchema } from '../src/config/json-schema.ts'
import { environmentSettings } from '../src/config/environment.ts'
import { allSettings, type Setting } from '../src/config/settings.ts'

/** Writes docs/configuration.md and config.schema.json from the schema. A test fails when they are not what this makes. */

const introduction = `# Configuration

<!-- Written by scripts/generate-reference.ts from src/config/schema.ts: change the sentences there. -->

One YAML (or JSON) file. It is looked for in this order: \`--config FILE\`, \`$BEARER_SIDECAR_CONFIG\`, \`./bearer-sidecar.yaml\`,
\`/etc/bearer-sidecar/config.yaml\`. \`config.example.yaml\` holds every setting with a comment; editors that know
\`config.schema.json\` complete and check as you type.

- \`bearer-sidecar check\` tells everything that is wrong, each with its line, and exits with 78 when something is.
- \`bearer-sidecar config print\` shows what holds in the end and where each value came from, with secrets masked.
- A change of the file, or of a file it names, takes effect at once; SIGHUP does the same. A file that is wrong is
  reported in the log and the old configuration goes on.

## Values

| Kind | Written as |
|---|---|
| duration | \`250ms\`, \`30s\`, \`5m\`, \`12h\`, \`60d\` |
| size | \`512B\`, \`64KiB\`, \`1MiB\` |
| reference | \`\${NAME}\` is an environment variable and must be set; \`\${NAME:-default}\` has a default, which also stands in for an empty one; \`\${file:/path}\` is what the file holds, without the line break at its end. Any text may hold references, keys may not. \`$\${\` stands for the characters themselves. |
| secret | A text that no command, log line or page shows. \`clientSecretFile: /path\` in the place of \`clientSecret\` reads it from a file, and so for every secret marked "or …File" below. |

Relative paths count from the folder of the config file. An empty text is the same as \`null\` where \`null\` is possible.

## Where a value comes from

Flag, then environment variable, then file, then preset, then default; the first that has one wins.

- A \`.env\` beside the config file adds to the environment, which wins over it. With \`NODE_ENV=production\` it is not read.
- A credential's \`provider\` names a preset (\`bearer-sidecar providers\`): its fields are laid under those of the file. Maps are
  merged, lists and texts replaced.
- Settings of \`proxy\`, \`admin\`, \`store\`, \`log\` and \`notify\` can be given as environment variables, listed
  [below](#environment-variables). An empty variable counts as not set; the values of a list are separated by commas.
`

const headings: readonly (readonly [prefix: string, heading: string])[] = [
  ['version', 'version'],
  ['proxy', 'proxy'],
  ['admin', 'admin'],
  ['credentials', 'credentials'],
  ['routes', 'routes'],
  ['store', 'store'],
  ['log', 'log'],
  ['notify', 'notify'],
]

/** The text of docs/configuration.md. */
export function referencePage(): string {
  const settings = allSettings()
  const sections = headings.flatMap(([prefix, heading]) => {
    const rows = settings.filter(
      ({ path }) => path === prefix || path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}[`),
    )
    return ['', `## ${heading}`, '', '| Setting | Type | Default | |', '|---|---|---|---|', ...rows.map(row)]
  })
  const variables = environmentSettings.map(({ variable, path }) => `| \`${variable}\` | \`${path.join('.')}\` |`)
  const known = [
    '| `BEARER_SIDECAR_CONFIG` | the config file |',
    '| `BEARER_SIDECAR_KEY` | `store.encryptionKey`, where that is not set |',
  ]
  const table = ['', '## Environment variables', '', '| Variable | Setting |', '|---|---|', ...known, ...variables]
  return `${introduction}${sections.join('\n')}\n${table.join('\n')}\n`
}

function row({ path, type, default: byDefault, required, secret, hasFileTwin, description }: Setting): string {
  const kind = `${type}${secret ? ', secret' : ''}${hasFileTwin ? ` (or \`${path.split('.').at(-1) ?? ''}File\`)` : ''}`
  const standard = required ? 'required' : byDefault === undefined ? '' : `\`${byDefault.replaceAll('|', '\\|')}\``
  return `| \`${path}\` | ${kind} | ${standard} | ${description.replaceAll('<', '&lt;')} |`
}

/** The text of config.schema.json. */
export const schemaFile = () => `${JSON.stringify(configJsonSchema(), null, 2)}\n`

if (import.meta.main) {
  const root = new URL('../', import.meta.url)
  writeFileSync(new URL('docs/configuration.md', root), referencePage())
  writeFileSync(new URL('config.schema.json', root), schemaFile())
}
