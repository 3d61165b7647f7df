/**
 * What token endpoints answer, and what becomes of it: the table of docs/token-answers.md. `sent` are the documents that stand for a row; a row
 * holds when all of them come to `taken`.
 */
export interface AnswerRow {
  readonly answer: string
  readonly taken: string
  readonly sent: readonly Answer[]
  /** Fields of the credential that differ from the defaults. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status?: number
  readonly type?: string
  readonly retryAfter?: string
  readonly body: string
}

/** The time of every answer. */
export const now = Date.parse('2026-01-01T00:00:00Z')

const json = (members: Record<string, unknown>, rest: Partial<Answer> = {}): Answer => ({
  body: JSON.stringify(members),
  ...rest,
})

const good = { access_token: 'access-2', token_type: 'Bearer', expires_in: 3600, refresh_token: 'refresh-2' }
const lasting = (expires_in: unknown) => json({ ...good, expires_in })
const withToken = (access_token: unknown) => json({ ...good, access_token })
const withRefreshToken = (refresh_token: unknown) => json({ ...good, refresh_token })
const fault = (status: number, body = '', retryAfter?: string): Answer => ({
  status,
  body,
  ...(retryAfter !== undefined && { retryAfter }),
})
const xml = (inner: string) => `<?xml version="1.0"?>\n<TokenResponse>${inner}</TokenResponse>\n`
const xmlTokens = '<access_token>access-2</access_token><expires_in>3600</expires_in>'
const camelCase = {
  tokenResponse: {
    fields: { accessToken: 'accessToken', refreshToken: 'refreshToken', expiresIn: null, expiresAt: 'expiresAt' },
  },
}
const camel = (expiresAt: unknown) => json({ accessToken: 'access-2', refreshToken: 'refresh-2', expiresAt })
const byPartner = { clientAuthentication: 'credential:partner' }

const used = 'used: lives 3600 s; new refresh token'
const kept = 'used: lives 3600 s; refresh token kept'
const unknownLife = 'used: until it is rejected; new refresh token'
const passing = 'passing: tried again'
const refreshOnly = 'new refresh token saved; passing: tried again'

export const answerRows: readonly AnswerRow[] = [
  { answer: 'RFC 6749 section 5.1, as it should be', taken: used, sent: [json(good)] },
  { answer: 'the same with status 201', taken: used, sent: [json(good, { status: 201 }), json(good, { status: 203 })] },
  {
    answer: 'the same labelled as text, HTML or nothing',
    taken: used,
    sent: [json(good, { type: 'text/plain' }), json(good, { type: 'text/html' }), json(good, { type: '' })],
  },
  {
    answer: 'the same with a byte order mark or space around it',
    taken: used,
    sent: [{ body: `\ufeff${JSON.stringify(good)}` }, { body: `\r\n ${JSON.stringify(good)}\n` }],
  },
  {
    answer: '`token_type` missing or unusual, unknown members',
    taken: used,
    sent: [
      json({ ...good, token_type: undefined }),
      json({ ...good, token_type: 'bearer' }),
      json({ ...good, token_type: null, id_token: 'x', '': 1, error: null, __proto__: 2 }),
    ],
  },
  {
    answer: '`refresh_token` missing, null, empty or no text',
    taken: kept,
    sent: [undefined, null, '', 7, {}].map(withRefreshToken),
  },
  {
    answer: '`expires_in` as text or with a fraction',
    taken: used,
    sent: ['3600', ' 3600 ', '3600.0', 3600.0].map(lasting),
  },
  { answer: '`expires_in` of 1.5', taken: 'used: lives 1.5 s; new refresh token', sent: [1.5, '1.5'].map(lasting) },
  {
    answer: '`expires_in` missing, null, 0, negative or no number',
    taken: unknownLife,
    sent: [undefined, null, '', 0, '0', -1, '-1', 'NaN', 'Infinity', 'soon', true, [], [60], {}].map(lasting),
  },
  {
    answer: '`expires_in` missing, with `refresh.accessTokenLifetime: 1h`',
    taken: used,
    sent: [undefined, 0, 'soon'].map(lasting),
    config: { refresh: { accessTokenLifetime: '1h' } },
  },
  {
    answer: '`expires_in` of `NaN` or `Infinity` without quotes (no JSON, but Python writes it)',
    taken: unknownLife,
    sent: ['NaN', 'Infinity', '-Infinity'].map((word) => ({
      body: `{"access_token":"access-2","expires_in": ${word} ,"refresh_token":"refresh-2"}`,
    })),
  },
  {
    answer: '`expires_in` beyond ten years',
    taken: 'used: lives 315360000 s; new refresh token',
    sent: [1e12, '1e12', Number.MAX_SAFE_INTEGER, 1e300].map(lasting),
  },
  {
    answer: 'an absolute expiry in seconds, milliseconds or ISO 8601',
    taken: used,
    sent: [now / 1000 + 3600, String(now / 1000 + 3600), now + 3_600_000, '2026-01-01T01:00:00Z'].map(camel),
    config: camelCase,
  },
  {
    answer: 'an absolute expiry that is past, missing or no time',
    taken: unknownLife,
    sent: [now / 1000 - 1, 0, -1, null, undefined, 'soon', '1999-01-01', []].map(camel),
    config: camelCase,
  },
  {
    answer: 'an absolute expiry beyond ten years',
    taken: 'used: lives 315360000 s; new refresh token',
    sent: [1e18, 1e300, '9999-12-31T00:00:00Z'].map(camel),
    config: camelCase,
  },
  {
    answer: 'an access token with a space, a control character or a character beyond ASCII, and a refresh token',
    taken: refreshOnly,
    sent: ['two words', 'line\r\nX-Evil: 1', 'nul\0', 'tab\t', 'café', ' access-2'].map(withToken),
  },
  {
    answer: 'an access token that is missing, null, empty or no text, and a refresh token',
    taken: refreshOnly,
    sent: [undefined, null, '', 7, {}, ['access-2']].map(withToken),
  },
  {
    answer: 'neither token',
    taken: passing,
    sent: [json({}), json({ token: 'access-2' }), json({ access_token: null }), json({ access_token: 'a b' })],
  },
  {
    answer: 'nothing, white space, HTML, plain text, an array, a string, a number',
    taken: passing,
    sent: [
      '',
      ' \n',
      '<html><body>Sign in</body></html>',
      '<!DOCTYPE html><title>x</title>',
      '<p>access_token</p>',
      'no healthy upstream',
      '[]',
      `[${JSON.stringify(good)}]`,
      '"access-2"',
      '42',
      'null',
    ].map((body) => ({ body })),
  },
  {
    answer: 'JSON or XML that was cut off',
    taken: passing,
    sent: [
      JSON.stringify(good).slice(0, -1),
      JSON.stringify(good).slice(0, 30),
      '{',
      xml(xmlTokens).slice(0, -5),
      '<TokenResponse><access_token>acc',
      '<TokenResponse><access_token>access-2</access_token>',
      '<TokenResponse><access_token>acc<!-- </TokenResponse> -->',
      '<TokenResponse><access_token>acc<?x </TokenResponse>?>',
      `${'<!--'.repeat(10_000)}-->`,
    ].map((body) => ({ body })),
  },
  { answer: 'more than 64 KiB', taken: passing, sent: [{ body: `{"access_token":"${'a'.repeat(65_536)}"}` }] },
  {
    answer: 'XML, whatever its label, with a prefix, attributes, character references or one more element around',
    taken: kept,
    sent: [
      { type: 'application/xml', body: xml(xmlTokens) },
      { type: 'application/json', body: xml(xmlTokens) },
      {
        body: `<o:R xmlns:o="urn:x"><o:access_token a="1">access-2</o:access_token><o:expires_in>3600</o:expires_in></o:R>`,
      },
      { body: xml('<access_token>acc&#101;ss&#x2D;2</access_token><expires_in> 3600 </expires_in>') },
      { body: xml('<access_token><![CDATA[access-2]]></access_token><expires_in>3600</expires_in>') },
      { body: `<Envelope>${xml(xmlTokens).replace(/<\?.*\?>/, '')}</Envelope>` },
    ],
  },
  {
    answer: 'the same with comments or processing instructions after its end',
    taken: kept,
    sent: [
      '<!-- end -->',
      '<?end?>',
      '<!-- one --> <?two a="?"?>\n<!-- <three/> -->\n',
      '<!---->'.repeat(5_000),
      '<!-- </TokenResponse> -->',
    ].map((epilogue) => ({ body: `${xml(xmlTokens)}${epilogue}` })),
  },
  {
    answer: 'XML with a document type, entities of its own, two access tokens, two roots or a bottomless nesting',
    taken: passing,
    sent: [
      `<!DOCTYPE r [<!ENTITY a "access-2">]><r><access_token>&a;</access_token></r>`,
      `<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><lolz>&b;</lolz>`,
      xml('<access_token>a</access_token><access_token>b</access_token>'),
      `${xml(xmlTokens)}<more></more>`,
      '<a>'.repeat(10_000),
      `${'<a>'.repeat(5_000)}${'</a>'.repeat(5_000)}`,
      '<a(b>x</a(b>',
      '<',
      '<<<>>>',
      '<?xml version="1.0"?>',
    ].map((body) => ({ body })),
  },
  {
    answer: 'a form (`access_token=...&expires_in=...`)',
    taken: used,
    sent: [
      {
        type: 'application/x-www-form-urlencoded',
        body: 'access_token=access-2&expires_in=3600&refresh_token=refresh-2',
      },
    ],
  },
  {
    answer: 'a redirect (300 to 399), also with tokens in it',
    taken: passing,
    sent: [301, 302, 303, 307, 308].map((status) => json(good, { status })),
  },
  {
    answer: "`invalid_grant` with a status below 500, also with 200; HubSpot's `BAD_REFRESH_TOKEN`",
    taken: 'fatal: invalid_grant',
    sent: [
      ...[400, 401, 403, 200].map((status) => json({ error: 'invalid_grant', error_description: 'no' }, { status })),
      json({ status: 'BAD_REFRESH_TOKEN', message: 'no' }, { status: 400 }),
      { status: 400, body: '<r><error>invalid_grant</error></r>' },
      { status: 400, body: 'error=invalid_grant' },
    ],
  },
  {
    answer: 'the same in capitals, or as `{"error":{"code":"invalid_grant"}}`',
    taken: 'fatal: invalid_grant',
    sent: [
      ...['INVALID_GRANT', 'Invalid_Grant'].map((error) => json({ error }, { status: 400 })),
      ...[400, 401, 403, 200].map((status) => json({ error: { code: 'invalid_grant', message: 'no' } }, { status })),
      json({ error: { code: 'INVALID_GRANT' } }, { status: 400 }),
      json({ code: 'INVALID_GRANT' }, { status: 400 }),
      json({ status: 'bad_refresh_token' }, { status: 400 }),
    ],
  },
  {
    answer: 'tokens with status 200 beside an `error` that is an object with another code',
    taken: used,
    sent: [{ code: 'none' }, { code: 0 }, {}, ['invalid_grant']].map((error) => json({ ...good, error })),
  },
  {
    answer: '`invalid_client`, `unauthorized_client`',
    taken: 'fatal: the client credentials',
    sent: ['invalid_client', 'unauthorized_client'].flatMap((error) => [
      json({ error }, { status: 400 }),
      json({ error: error.toUpperCase() }, { status: 401 }),
      json({ error: { code: error } }, { status: 400 }),
    ]),
  },
  {
    answer: 'any other error, also with 200',
    taken: passing,
    sent: [
      json({ error: 'temporarily_unavailable' }, { status: 400 }),
      json({ error: 'invalid_request' }, { status: 400 }),
      json({ error: 'server_error', ...good }),
      json({ error: 'constructor' }, { status: 400 }),
      json({ error: '__proto__' }, { status: 400 }),
      json({ status: 'toString' }, { status: 400 }),
      json({ error: { code: 'slow_down' } }, { status: 400 }),
      json({ error: { code: '__proto__' } }, { status: 400 }),
      json({ error: [['code', 'invalid_grant']] }, { status: 400 }),
      { status: 400, body: '[{"error":"invalid_grant"}]' },
    ],
  },
  {
    answer: '400, 401, 403 or 404 without an error that is known',
    taken: passing,
    sent: [400, 401, 403, 404].flatMap((status) => [
      fault(status),
      fault(status, '<html>no</html>'),
      fault(status, '{}'),
    ]),
  },
  {
    answer: '500 or more, whatever it says',
    taken: passing,
    sent: [fault(500), fault(502, '<html>'), fault(503, '{"error":"invalid_grant"}'), fault(599, JSON.stringify(good))],
  },
  {
    answer: '429 or 503 with `Retry-After: 7`, or a date seven seconds ahead',
    taken: 'passing: not before 7 s',
    sent: [
      fault(429, '', '7'),
      fault(503, '', ' 7 '),
      fault(429, '{"error":"throttled"}', '7'),
      fault(429, '', 'Thu, 01 Jan 2026 00:00:07 GMT'),
    ],
  },
  {
    answer: '`Retry-After` beyond ten minutes',
    taken: 'passing: not before 600 s',
    sent: [fault(429, '', '601'), fault(429, '', '999999999999'), fault(503, '', 'Thu, 01 Jan 2099 00:00:00 GMT')],
  },
  {
    answer: '`Retry-After` that is past or no time',
    taken: passing,
    sent: ['Thu, 01 Jan 1970 00:00:00 GMT', '0', 'soon', '', '1.5s', '-7'].map((value) => fault(429, '', value)),
  },
  {
    answer: "401 where another credential's token authorises the request (`credential:<name>`)",
    taken: 'that token is renewed, and the request made once more',
    sent: [fault(401), fault(401, '{"error":"invalid_token"}'), fault(401, '{"error":"invalid_client"}')],
    config: byPartner,
  },
  {
    answer: 'the same with `invalid_grant`',
    taken: 'fatal: invalid_grant',
    sent: [fault(401, '{"error":"invalid_grant"}'), fault(400, '{"error":"invalid_grant"}')],
    config: byPartner,
  },
]
