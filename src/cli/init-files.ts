import type { InitCredential, InitField } from './init-plan.ts'

/** Answers by variable; a missing one is left for the person to fill in. */
export type InitAnswers = ReadonlyMap<string, string>

/** The variable of the key that seals the token files. */
const keyVariable = 'BEARER_SIDECAR_KEY'

/** bearer-sidecar.yaml: no value of the person's is in it, so it may go into version control. */
export function configText(credentials: readonly InitCredential[]): string {
  const main = credentials.at(-1)
  if (main === undefined) return ''
  const upstreamField = main.fields.find(({ place }) => place[0] === 'upstream')
  const names = credentials.map(({ name }) => name)
  return `# The values are in .env beside this file. Check both with: bearer-sidecar check
# Every setting with its default: bearer-sidecar config print
version: 1

proxy:
  listen: 127.0.0.1:8080 # your programs call this address without a token

admin:
  listen: 127.0.0.1:9090 # status page and logins

credentials:
${credentials.map(credentialText).join('\n')}
routes:
  - path: / # the longest prefix that fits wins
    upstream: ${upstreamField === undefined ? (main.provider.upstream ?? '') : reference(upstreamField)}
    credential: ${names.length === 1 ? names[0] : `[${names.join(', ')}]`}

store:
  type: file
  directory: ./tokens
  encryptionKey: \${${keyVariable}} # without it the files are plain JSON, readable by their owner alone
`
}

function credentialText({ name, provider, fields }: InitCredential): string {
  const own = fields.filter(({ place }) => place[0] !== 'upstream')
  const top = own
    .filter(({ place }) => place.length === 1)
    .map((field) => `    ${field.place[0] ?? ''}: ${reference(field)}`)
  const groups = ['settings', 'headers'].flatMap((group) => {
    const inside = own.filter(({ place }) => place.length === 2 && place[0] === group)
    return inside.length === 0
      ? []
      : [`    ${group}:`, ...inside.map((field) => `      ${field.place[1] ?? ''}: ${reference(field)}`)]
  })
  const browser = provider.credential.grant === undefined || provider.credential.grant === 'authorization_code'
  return [
    `  # ${provider.title}: ${provider.documentation}`,
    ...provider.notes.map((note) => `  # - ${note}`),
    `  ${name}:`,
    `    provider: ${provider.name}`,
    ...top,
    ...(browser
      ? ['    # redirectUri: http://localhost:9090/callback # this is the default; register it with the provider']
      : []),
    ...groups,
    '',
  ].join('\n')
}

/** .env: one line per value, each with what it is. */
export function envText(credentials: readonly InitCredential[], answers: InitAnswers, key: string): string {
  const lines = credentials.flatMap(({ fields }) =>
    fields.flatMap((field) => {
      const { variable, question, example } = field
      const hint = example === '' ? '' : `, such as ${example}`
      return [`# ${question}${hint}`, `${variable}=${quoted(answers.get(variable) ?? field.byDefault)}`]
    }),
  )
  return `# Secrets of bearer-sidecar.yaml: keep this file out of version control.
${lines.join('\n')}
# seals the token files; without it nobody can read them again, you included
${keyVariable}=${key}
`
}

const reference = ({ variable }: InitField) => `\${${variable}}`

/** As dotenv reads it back: quotes keep #, white space and the other quotes. */
function quoted(value: string): string {
  if (/^[\w./:@%+=,-]*$/.test(value)) return value
  const quote = ["'", '`', '"'].find((candidate) => !value.includes(candidate)) ?? "'"
  return `${quote}${value}${quote}`
}
