import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { check } from '../../src/cli/check.ts'
import { printConfig } from '../../src/cli/config.ts'
import { configFiles, minimal, type Given } from './config-file.ts'

/** Whatever is wrong, and wherever a secret was put by mistake, this must not come out. */
const canary = 'cAnArY9f8e7d'

const mistakes: readonly (readonly [name: string, given: Given])[] = [
  ['in the place of a word', { files: minimal({ credential: `grant: ${canary}`, top: `log: { level: ${canary} }` }) }],
  [
    'in the place of a duration, size, number and switch',
    {
      files: minimal({
        credential: `refresh: { early: ${canary} }\npkce: ${canary}`,
        route: `replayBody: ${canary}\nrateLimit: { perDay: ${canary} }`,
      }),
    },
  ],
  [
    'in the place of a map or list',
    { files: minimal({ credential: `headers: ${canary}\nscopes: ${canary}`, top: `proxy: ${canary}` }) },
  ],
  [
    'in the place of a URL',
    {
      files: minimal({
        credential: `deviceAuthorizationUrl: https://u:${canary}@x.example\nredirectUri: ${canary}`,
        top: `notify: { webhook: 'http://x.example/${canary}' }`,
      }),
    },
  ],
  [
    'in the place of an address, host and origin',
    {
      files: minimal({
        top: `proxy: { listen: ${canary}, allowedHosts: ['${canary}:1'], allowedOrigins: ['${canary}'] }`,
      }),
    },
  ],
  [
    'in the place of a name',
    {
      files: minimal()
        .replace('credential: api', `credential: ${canary}`)
        .replace('clientId: id', `provider: ${canary}`),
    },
  ],
  [
    'in the place of another credential',
    { files: minimal({ credential: `clientAuthentication: credential:${canary}` }) },
  ],
  [
    'as a key, where the space after the colon is missing',
    { files: minimal({ credential: `tls: { key:${canary} }` }) },
  ],
  ['as a key of the file', { files: `${minimal()}\n"${canary}":\n` }],
  ['as the name of a credential', { files: `version: 1\ncredentials: { "!${canary}": {} }\nroutes: []` }],
  ['as the name of a header', { files: minimal({ credential: `headers: { "key ${canary}": x }` }) }],
  [
    'in the place of a file',
    {
      files: minimal({
        credential: `refreshTokenFile: ${canary}`,
        top: `proxy: { callerSecretFile: '/${canary}+/==' }`,
      }),
    },
  ],
  [
    'in the place of a certificate',
    { files: minimal({ route: `tls: { ca: ${canary}, key: '/AAAA${canary}+${'A'.repeat(80)}' }` }) },
  ],
  [
    'in a certificate that is none',
    {
      files: minimal({
        route: `tls:\n  cert: |\n    -----BEGIN CERTIFICATE-----\n    ${canary}\n    -----END CERTIFICATE-----\n  key: |\n    ${canary}\n    two`,
      }),
    },
  ],
  [
    'in a reference that is not understood',
    { files: minimal({ credential: `redirectUri: '\${${canary}?}'\nrefreshToken: '\${${canary}'` }) },
  ],
  ['in a header with a line break', { files: minimal({ credential: `headers: { X-Key: "${canary}\\n" }` }) }],
  ['in broken YAML', { files: `version: 1\nclientSecret:${canary}\nroutes: [` }],
  ['in an alias', { files: `version: 1\nlog: *${canary}\n` }],
  ['in a tag and an escape', { files: `version: 1\nlog: !${canary} x\nproxy: "\\${canary}"\n` }],
  [
    'in the environment',
    {
      files: minimal({ credential: 'grant: ${GRANT}' }),
      env: {
        GRANT: canary,
        BEARER_SIDECAR_LOG_LEVEL: canary,
        BEARER_SIDECAR_STORE_LEASE: canary,
        BEARER_SIDECAR_PROXY_LISTEN: canary,
      },
    },
  ],
  ['in .env', { files: { 'c.yaml': minimal({ credential: 'pkce: ${PKCE}' }), '.env': `PKCE=${canary}\nX=${canary}` } }],
  [
    'in a file that is named',
    { files: { 'c.yaml': minimal({ credential: 'pkce: "${file:secret}"\ntls: { ca: secret }' }), secret: canary } },
  ],
  [
    'in the settings of a preset',
    {
      files: minimal({
        credential: `provider: highq\nsettings: { host: '${canary}/', instance: x, other: ${canary} }`,
      }),
    },
  ],
  [
    'in a store URL and keys',
    {
      files: minimal({
        top: `store: { type: redis, url: 'http://u:${canary}@x', lease: 1s, encryptionKey: ${canary} }`,
      }),
    },
  ],
]

async function outputOf(
  run: (io: Parameters<typeof check>[1]) => Promise<number>,
  env: Readonly<Record<string, string>>,
  cwd: string,
) {
  let output = ''
  const write = (text: string) => void (output += text)
  const code = await run({ stdout: write, stderr: write, env, cwd, terminal: false })
  return { output, code }
}

void suite('a secret never comes out', () => {
  for (const [name, given] of mistakes) {
    void test(name, async (t) => {
      const { directory } = configFiles(t, given)
      for (const json of [false, true]) {
        const { output, code } = await outputOf(
          (io) => check({ config: 'c.yaml', json }, io),
          given.env ?? {},
          directory,
        )
        assert.equal(code, 78, output)
        assert.ok(output.includes('c.yaml'), output)
        assert.ok(!output.includes(canary), output)
      }
    })
  }

  void test('config print masks every secret and keeps what is none', async (t) => {
    const files = {
      'c.yaml': `version: 1
proxy: { callerSecret: ${canary} }
credentials:
  api:
    tokenUrl: https://auth.example.com/token
    authorizationUrl: https://auth.example.com/authorize
    clientId: the-id
    clientSecret: \${SECRET}
    refreshTokenFile: refresh
    headers: { X-Key: [${canary}1, ${canary}2], X-Id: '{uuid}' }
    tokenRequest: { params: { assertion: ${canary} }, headers: { X-Key: ${canary} } }
routes:
  - { path: /, upstream: 'https://api.example.com', credential: api, headers: { X-Other: ${canary} } }
store: { url: 'redis://:${canary}@localhost', previousEncryptionKeys: [${canary}0123456789] }
notify: { webhook: 'https://hooks.example.com/${canary}' }
`,
      refresh: canary,
    }
    const env = { SECRET: canary, BEARER_SIDECAR_KEY: `${canary}0123456789` }
    const { directory } = configFiles(t, { files })
    for (const json of [false, true]) {
      const { output, code } = await outputOf((io) => printConfig({ config: 'c.yaml', json }, io), env, directory)
      assert.equal(code, 0, output)
      assert.ok(!output.includes(canary), output)
      assert.match(output, /the-id/)
      assert.match(output, /\{uuid\}/)
      assert.equal(output.match(/<masked>/g)?.length, 12)
    }
  })
})
