import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { formatProblem } from '../../src/config/problems.ts'
import { load, minimal, refusal } from './config-file.ts'

/** Each row: what is wrong, the file, and all lines that must come out. */
const rows: readonly (readonly [name: string, file: string, lines: readonly string[]])[] = [
  ['an unknown key at the top', minimal({ top: 'rout: []' }), ['c.yaml:14:1 rout: unknown key; did you mean routes?']],
  [
    'an unknown key deep down, in the spelling of OAuth',
    minimal({ credential: 'token_url: x\ntokenRequest: { feilds: {} }' }),
    [
      'c.yaml:8:5 credentials.api.token_url: unknown key; did you mean tokenUrl?',
      'c.yaml:9:21 credentials.api.tokenRequest.feilds: unknown key; did you mean fields?',
    ],
  ],
  [
    'a value of the wrong kind',
    minimal({ route: 'allowMethods: GET\nwebsocket: maybe\nreplayBody: 5\nname: [a]', top: 'log: warn' }),
    [
      'c.yaml:13:19 routes[0].allowMethods: must be a list',
      'c.yaml:14:16 routes[0].websocket: must be true or false',
      'c.yaml:15:17 routes[0].replayBody: must be a size such as 512B, 64KiB or 1MiB',
      'c.yaml:16:11 routes[0].name: must be text',
      'c.yaml:17:6 log: must be a map of settings',
    ],
  ],
  [
    'a word that is not one of the possible ones',
    minimal({ credential: 'clientAuthentication: basicraw', top: 'log: { level: inof }' }),
    [
      'c.yaml:8:27 credentials.api.clientAuthentication: must be basic, basic-raw, body, none or credential:<name>; did you mean basic-raw?',
      'c.yaml:14:15 log.level: must be one of trace, debug, info, warn, error, fatal, silent; did you mean info?',
    ],
  ],
  [
    'durations and addresses',
    minimal({
      top: 'proxy: { listen: localhost, shutdownGrace: 25, timeouts: { connect: 5 s } }\nstore: { lease: 10s }',
    }),
    [
      'c.yaml:14:18 proxy.listen: must be host:port, [IPv6]:port or unix:/path, or a list of them',
      'c.yaml:14:44 proxy.shutdownGrace: must be a duration such as 250ms, 30s, 5m, 12h or 60d',
      'c.yaml:14:69 proxy.timeouts.connect: must be a duration such as 250ms, 30s, 5m, 12h or 60d',
      'c.yaml:15:17 store.lease: must be longer than every refresh.timeout',
    ],
  ],
  [
    'a missing version, path, upstream and credential',
    'credentials: {}\nroutes:\n  - name: x\n',
    [
      'c.yaml:1:1 version: is required',
      'c.yaml:3:5 routes[0].path: is required',
      'c.yaml:3:5 routes[0].upstream: is required',
      'c.yaml:3:5 routes[0].credential: is required',
    ],
  ],
  ['an empty file', '', ['c.yaml:1:1 version: is required', 'c.yaml:1:1 routes: at least one route is required']],
  [
    'a file that is a list',
    '- 1',
    ['c.yaml:1:1: the file must hold a map of settings', 'c.yaml:1:1 routes: at least one route is required'],
  ],
  [
    'another version',
    minimal().replace('version: 1', 'version: 2'),
    ['c.yaml:1:10 version: must be 1, the version of this format'],
  ],
  ['the same key twice', minimal({ credential: 'clientId: again' }), ['c.yaml:8:5: this key stands here twice']],
  [
    'broken YAML',
    'version: 1\nroutes: [\n',
    ['c.yaml:3:1: the indentation does not fit, or a bracket before it is not closed'],
  ],
  [
    'an alias without anchor',
    'version: 1\nlog: *nowhere\n',
    ['c.yaml:2:6: this alias (*name) has no anchor (&name) before it'],
  ],
  [
    'references',
    minimal({ credential: 'scopes: ["${UNSET}", "${1}", "${open", "${file:/none/secret.txt}"]' }),
    [
      'c.yaml:8:14 credentials.api.scopes[0]: the environment variable UNSET is not set; set it, or write ${UNSET:-} if it may be missing',
      'c.yaml:8:26 credentials.api.scopes[1]: a ${...} is not understood; write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for the characters themselves',
      'c.yaml:8:34 credentials.api.scopes[2]: a ${ has no closing brace; write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for the characters themselves',
      'c.yaml:8:44 credentials.api.scopes[3]: cannot read /none/secret.txt: there is no such file',
    ],
  ],
  [
    'secrets in files',
    minimal({
      credential: 'clientSecretFile: /none/a.txt\nrefreshTokenFile: /none/b.txt',
      top: 'proxy: { callerSecretFile: /dev/null }',
    }),
    [
      'c.yaml:8:23 credentials.api.clientSecretFile: clientSecret and clientSecretFile are both set; keep one',
      'c.yaml:9:23 credentials.api.refreshTokenFile: cannot read /none/b.txt: there is no such file',
      'c.yaml:15:28 proxy.callerSecretFile: the file is empty',
    ],
  ],
  [
    'an unknown preset, once, without what follows from it',
    'version: 1\ncredentials:\n  a: { provider: blackbaud, settigns: {} }\nroutes:\n  - { path: /, upstream: "https://x.example", credential: a }\n',
    [
      'c.yaml:3:18 credentials.a.provider: is no preset; did you mean blackbaud-sky? (bearer-sidecar providers lists them: blackbaud-sky, constant-contact, highq, maya-partner, maya-customer, generic, quickbooks, xero, hubspot, zoho, salesforce, microsoft-entra, google)',
      'c.yaml:3:29 credentials.a.settigns: unknown key; did you mean settings?',
    ],
  ],
  [
    'settings of a preset',
    'version: 1\ncredentials:\n  hq:\n    provider: highq\n    clientId: 1\n    clientSecret: s\n    settings: { hots: x, instance: a/b }\nroutes:\n  - { path: /, upstream: "https://x.example", credential: hq }\n',
    [
      'c.yaml:7:5 credentials.hq.settings.host: is required by highq: the host of your HighQ site, such as acme.highq.com',
      'c.yaml:7:17 credentials.hq.settings.hots: no setting of highq, it has host, instance; did you mean host?',
      'c.yaml:7:36 credentials.hq.settings.instance: goes into a URL: only letters, digits and . _ ~ : - are possible',
    ],
  ],
  [
    'what a grant needs',
    'version: 1\ncredentials:\n  a: {}\n  b: { grant: device_code, tokenUrl: "https://x.example/t", clientAuthentication: none }\nroutes:\n  - { path: /a, upstream: "https://x.example", credential: a }\n  - { path: /b, upstream: "https://x.example", credential: b }\n',
    [
      'c.yaml:3:3 credentials.a.tokenUrl: is required to get and refresh tokens',
      'c.yaml:3:3 credentials.a.authorizationUrl: is required for the grant authorization_code (where tokens are imported, set grant: refresh_token)',
      'c.yaml:3:3 credentials.a.clientId: is required for the grant authorization_code with clientAuthentication basic',
      'c.yaml:3:3 credentials.a.clientSecret: is required by clientAuthentication basic; a public client has clientAuthentication: none',
      'c.yaml:4:3 credentials.b.deviceAuthorizationUrl: is required for the grant device_code',
      'c.yaml:4:3 credentials.b.clientId: is required for the grant device_code with clientAuthentication none',
    ],
  ],
  [
    'URLs that would give secrets away',
    minimal({
      credential: 'redirectUri: /callback\ndeviceAuthorizationUrl: https://u:p@x.example/d',
      top: 'notify: { webhook: http://x.example/hook }',
    })
      .replace('tokenUrl: https:', 'tokenUrl: http:')
      .replace('example.com/authorize', 'example.com/authorize#x')
      .replace('upstream: https://api.example.com', 'upstream: http://api.example.com'),
    [
      'c.yaml:4:15 credentials.api.tokenUrl: must be an https:// URL (http:// only on this machine)',
      'c.yaml:5:23 credentials.api.authorizationUrl: must not hold a fragment (#)',
      'c.yaml:8:18 credentials.api.redirectUri: must be an absolute URL without a fragment (#)',
      'c.yaml:9:29 credentials.api.deviceAuthorizationUrl: must not hold a user name or password',
      'c.yaml:12:15 routes[0].upstream: http:// would send the token in clear text; use https://, or set allowInsecureUpstream: true',
      'c.yaml:15:20 notify.webhook: must be an https:// URL (http:// only on this machine)',
    ],
  ],
  [
    'the token of another credential',
    `version: 1
credentials:
  a: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: 'credential:a' }
  b: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: 'credential:partnr' }
  c: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: 'credential:d' }
  d: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: 'credential:c' }
  e: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: 'credential:partner' }
  partner: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: none, subjectHeader: X-Subject }
routes: [{ path: /, upstream: 'https://x.example', credential: e }]
`,
    [
      'c.yaml:3:85 credentials.a.clientAuthentication: names the credential itself; its token requests need the token of another one',
      'c.yaml:4:85 credentials.b.clientAuthentication: names a credential that does not exist; did you mean partner?',
      'c.yaml:5:85 credentials.c.clientAuthentication: goes round in a circle: each waits for the token of the next',
      'c.yaml:6:85 credentials.d.clientAuthentication: goes round in a circle: each waits for the token of the next',
      'c.yaml:7:85 credentials.e.clientAuthentication: names a credential with a subjectHeader; token requests have no subject to choose by',
    ],
  ],
  [
    'headers that cannot be injected, and values that would break a request',
    minimal({
      credential:
        'headers: { Host: x, "bad name": y, X-Line: "a\\nb", X-Empty: "", Content_Length: "1" }\ninject: { header: Transfer-Encoding, value: Bearer }\nsubjectHeader: X-Forwarded-For',
      route: 'headers: { Bearer-Sidecar-Secret: x, X-None: "" }',
    }),
    [
      'c.yaml:8:16 credentials.api.headers.Host: host belongs to the connection or to the sidecar and cannot be used here',
      'c.yaml:8:25 credentials.api.headers: must be an HTTP field name',
      'c.yaml:8:48 credentials.api.headers.X-Line: must not hold line breaks, control characters or characters beyond Latin-1',
      'c.yaml:8:65 credentials.api.headers.X-Empty: has an empty value',
      'c.yaml:8:69 credentials.api.headers.Content_Length: content-length belongs to the connection or to the sidecar and cannot be used here',
      'c.yaml:9:15 credentials.api.inject.header: transfer-encoding belongs to the connection or to the sidecar and cannot be used here',
      'c.yaml:9:49 credentials.api.inject.value: must contain {token}',
      'c.yaml:10:5 credentials.api.subjectHeader: x-forwarded-for is never sent upstream and cannot be used here',
      'c.yaml:15:16 routes[0].headers.Bearer-Sidecar-Secret: bearer-sidecar-secret belongs to the connection or to the sidecar and cannot be used here',
      'c.yaml:15:50 routes[0].headers.X-None: has an empty value',
    ],
  ],
  [
    'one header from two owners',
    `version: 1
credentials:
  a: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: none }
  b: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: none, headers: { X_Key: k } }
  c: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: none, inject: { header: X-Key }, subjectHeader: x-key }
routes:
  - { path: /1, upstream: 'https://x.example', credential: [a, b] }
  - { path: /2, upstream: 'https://x.example', credential: [b, c] }
  - { path: /3, upstream: 'https://x.example', credential: a, headers: { authorization: Basic } }
  - { path: /4, upstream: 'https://x.example', credential: [a, a, aa] }
`,
    [
      'c.yaml:7:60 routes[0].credential: b and a both set the header Authorization',
      'c.yaml:8:60 routes[1].credential: c and b both set the header X-Key',
      'c.yaml:8:60 routes[1].credential: the subjectHeader of c is a header that is injected',
      "c.yaml:9:60 routes[2].credential: a and the route's headers both set the header Authorization",
      'c.yaml:10:64 routes[3].credential[1]: names the same credential again',
      'c.yaml:10:67 routes[3].credential[2]: names a credential that does not exist',
    ],
  ],
  [
    'routes',
    `version: 1
credentials:
  a: { grant: refresh_token, tokenUrl: 'https://x.example/t', clientAuthentication: none }
routes:
  - { path: /x/, upstream: 'ftp://x.example', credential: a, allowMethods: [GET, trace, 'B D'] }
  - { path: /x, upstream: 'https://u:p@x.example', credential: a, rateLimit: {} }
  - { path: /../y, upstream: 'https://x.example/?q', credential: a, rateLimit: { perSecond: 0 } }
  - { path: y, upstream: 'x.example', credential: a, rateLimit: { perDay: -1 } }
  - nothing
`,
    [
      'c.yaml:5:28 routes[0].upstream: must be an https:// or http:// URL',
      'c.yaml:5:89 routes[0].allowMethods[2]: must be an HTTP method name',
      'c.yaml:6:13 routes[1].path: is the path of routes[0], too',
      'c.yaml:6:27 routes[1].upstream: must not hold a user name or password',
      'c.yaml:6:78 routes[1].rateLimit: needs perSecond or perDay',
      'c.yaml:7:13 routes[2].path: must be a plain path prefix: no query, fragment, backslash, space or dot segment',
      'c.yaml:7:30 routes[2].upstream: must not hold a query (?) or fragment (#)',
      'c.yaml:7:93 routes[2].rateLimit.perSecond: must be 1 or more',
      'c.yaml:8:13 routes[3].path: must begin with /',
      'c.yaml:8:26 routes[3].upstream: must be an https:// or http:// URL',
      'c.yaml:8:75 routes[3].rateLimit.perDay: must be at least 0',
      'c.yaml:9:5 routes[4]: must be a map of settings',
    ],
  ],
  [
    'lists of methods and paths that would allow more or less than they seem to',
    minimal({
      route: `allowMethods: [GET, get, LIST, Delte, trace]
allowPaths: ['/a/{b,c}/*', '/d/[0-9]*', '!/e/**', 'payments/**', '[', '/x[', '/caf%C3%A9/*', '/a b/*', '**/x', '/y\\[']`,
    }),
    [
      'c.yaml:13:25 routes[0].allowMethods[1]: is not a method that can be forwarded; did you mean GET?',
      'c.yaml:13:30 routes[0].allowMethods[2]: is not a method that can be forwarded',
      'c.yaml:13:36 routes[0].allowMethods[3]: is not a method that can be forwarded; did you mean DELETE?',
      'c.yaml:13:43 routes[0].allowMethods[4]: CONNECT and TRACE are never forwarded',
      'c.yaml:14:45 routes[0].allowPaths[2]: list what is allowed: negation (!) is not supported, and everything else is refused anyway',
      'c.yaml:14:55 routes[0].allowPaths[3]: must begin with /, as every path does',
      'c.yaml:14:70 routes[0].allowPaths[4]: must begin with /, as every path does',
      'c.yaml:14:75 routes[0].allowPaths[5]: has a bracket without its partner; with a backslash before it, it stands for itself',
    ],
  ],
  [
    'addresses in each other’s way',
    minimal({
      top: 'proxy: { listen: [localhost:1, "unix:/s"] }\nadmin: { listen: 127.0.0.1:1, probesListen: 0.0.0.0:99999 }',
    }),
    [
      'c.yaml:15:18 admin.listen: is the same address as proxy.listen',
      'c.yaml:15:45 admin.probesListen: the port must be 65535 or less',
    ],
  ],
  [
    'origins and hosts',
    minimal({
      top: 'proxy: { allowedOrigins: ["https://a.example/path", "*"], publicUrl: a.example, allowedHosts: ["a:80"] }',
    }),
    [
      'c.yaml:14:27 proxy.allowedOrigins[0]: must be an origin such as https://app.example.com: scheme, host and port, no path',
      'c.yaml:14:53 proxy.allowedOrigins[1]: must be an origin such as https://app.example.com: scheme, host and port, no path',
      'c.yaml:14:70 proxy.publicUrl: must be an origin such as https://app.example.com: scheme, host and port, no path',
      'c.yaml:14:96 proxy.allowedHosts[0]: must be a host name without scheme, port or path',
    ],
  ],
  [
    'certificates',
    minimal({
      route: 'tls: { ca: /none/ca.pem, cert: /dev/null }',
      credential: 'tls: { key: "-----BEGIN PRIVATE KEY-----\\nAA==\\n-----END PRIVATE KEY-----" }',
    }),
    [
      'c.yaml:8:5 credentials.api.tls.cert: is required: a client certificate needs both cert and key',
      'c.yaml:13:16 routes[0].tls.ca: cannot read /none/ca.pem: there is no such file',
      'c.yaml:13:36 routes[0].tls.cert: the file holds no PEM text (-----BEGIN ...-----)',
    ],
  ],
  [
    'refreshes that cannot work',
    minimal({
      credential:
        'refresh: { timeout: 60s, keepAlive: 70d, refreshTokenLifetime: 60d, on: [{ status: 401, wen: always }] }',
    }),
    [
      'c.yaml:1:1 store.lease: must be longer than every refresh.timeout',
      'c.yaml:8:41 credentials.api.refresh.keepAlive: must be shorter than refreshTokenLifetime: the refresh token would die first',
      'c.yaml:8:93 credentials.api.refresh.on[0].wen: unknown key; did you mean when?',
    ],
  ],
]

void suite('problems', () => {
  for (const [name, file, lines] of rows) {
    void test(name, async (t) => {
      assert.deepEqual((await refusal(t, { files: file })).lines, lines)
    })
  }

  void test('a problem of an environment variable or flag names it in the place of the file', async (t) => {
    const env = { BEARER_SIDECAR_LOG_LEVEL: 'loud', BEARER_SIDECAR_PROXY_TIMEOUTS_CONNECT: '5' }
    const { lines, problems } = await refusal(t, { files: minimal(), env, overrides: { adminListen: 'nowhere' } })
    assert.deepEqual(lines.sort(), [
      '$BEARER_SIDECAR_LOG_LEVEL log.level: must be one of trace, debug, info, warn, error, fatal, silent',
      '$BEARER_SIDECAR_PROXY_TIMEOUTS_CONNECT proxy.timeouts.connect: must be a duration such as 250ms, 30s, 5m, 12h or 60d',
      '--admin-listen admin.listen: must be host:port, [IPv6]:port or unix:/path, a list of them, or false',
    ])
    assert.ok(problems.every(({ line, column }) => line === null && column === null))
  })

  void test('what is doubtful is a warning and does not stop the start', async (t) => {
    const files = `version: 1
proxy: { listen: 0.0.0.0:0 }
admin: { listen: '[::]:0' }
store: { encryptionKey: short, previousEncryptionKeys: ['${'f'.repeat(64)}'] }
credentials:
  cc: { provider: constant-contact, clientId: i, clientSecret: s, scopes: [contact_data] }
  sky: { provider: blackbaud-sky, clientId: i, clientSecret: s }
  public: { tokenUrl: 'http://localhost:1/t', authorizationUrl: 'http://127.0.0.1:1/a', clientId: i, clientSecret: s, clientAuthentication: none }
routes:
  - { path: /cc/, upstream: 'https://api.cc.email/v3/', credential: cc }
  - { path: /sky/, upstream: 'https://api.sky.blackbaud.com', credential: sky }
`
    const { warnings } = await load(t, { files })
    assert.deepEqual(warnings.map(formatProblem), [
      'c.yaml:2:18 proxy.listen: can be reached from other machines: anyone who reaches it calls the upstream as you; listen on 127.0.0.1, or set proxy.callerSecret',
      'c.yaml:3:18 admin.listen: can be reached from other machines: anyone who reaches it can log in, import and forget tokens; listen on 127.0.0.1, or use admin.probesListen for probes',
      'c.yaml:4:25 store.encryptionKey: is a passphrase of fewer than 16 characters; better 32 random bytes (openssl rand -base64 32)',
      'c.yaml:6:75 credentials.cc.scopes: Constant Contact V3 gives no refresh token without the scope offline_access',
      'c.yaml:8:3 credentials.public: is used by no route',
      'c.yaml:8:102 credentials.public.clientSecret: is not sent with clientAuthentication: none',
      "c.yaml:11:75 routes[1].credential: the API wants the header Bb-Api-Subscription-Key (the primary and secondary key of your subscription, from the developer portal; the Payments API has a key of its own, which goes into the /payments/ route's headers); set it in credentials.sky.headers",
    ])
  })
})
