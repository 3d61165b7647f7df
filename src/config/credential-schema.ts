import { z } from 'zod'
import { didYouMean } from './suggest.ts'
import { rejectionRule, tokenRejectionRule } from './rejection-schema.ts'
import { duration, headerName, headerValue, optionalText, pem, scalarBoolean, secret, traits } from './scalars.ts'

/** The settings of one credential. It is parsed after its preset's fields were laid under it. */

const textMap = () => z.record(z.string(), z.string())

export const tls = z.strictObject({
  ca: pem().describe('CA certificates trusted beside the built-in ones: a file path or PEM text.'),
  cert: pem().describe('Client certificate: a file path or PEM text.'),
  key: pem()
    .register(traits, { file: 'pem', secret: true })
    .describe('Private key of the client certificate: a file path or PEM text.'),
})

const headerListMessage =
  'must be text or a list of texts, without line breaks, control characters or characters beyond Latin-1'

/** Keys that an unset variable left empty don't count. */
const keyList = z
  .array(headerValue)
  .min(1)
  .transform((keys) => keys.filter((key) => key !== ''))

const headerValues = z.record(headerName, z.union([headerValue, keyList], { error: headerListMessage }))

const tokenRequest = z.strictObject({
  format: z.enum(['form', 'json']).default('form').describe('How the body of a token request is written.'),
  params: textMap()
    .register(traits, { secret: true })
    .default({})
    .describe('Further parameters of every token request, such as audience.'),
  refreshParams: textMap()
    .register(traits, { secret: true })
    .default({})
    .describe('Further parameters of refresh requests only.'),
  headers: z
    .record(headerName, headerValue)
    .register(traits, { secret: true })
    .default({})
    .describe('Further header fields of token requests; {uuid} is fresh for each request.'),
  fields: z
    .strictObject({
      grantType: z
        .string()
        .nullable()
        .default('grant_type')
        .describe('Name of the grant type parameter; null leaves it out.'),
      refreshToken: z
        .string()
        .nullable()
        .default('refresh_token')
        .describe('Name of the refresh token parameter; null leaves it out.'),
    })
    .prefault({}),
})

const responseField = (byDefault: string | null, sentence: string) =>
  z.string().nullable().default(byDefault).describe(`${sentence} null = the answer has none.`)

const tokenResponse = z.strictObject({
  format: z
    .enum(['auto', 'json', 'xml', 'form'])
    .default('auto')
    .describe('How token answers are written; auto tells by their first character.'),
  fields: z
    .strictObject({
      accessToken: z.string().default('access_token').describe('Field that holds the access token.'),
      refreshToken: responseField('refresh_token', 'Field that holds the refresh token;'),
      expiresIn: responseField('expires_in', 'Field that holds the life of the access token in seconds;'),
      expiresAt: responseField(null, 'Field that holds the expiry as seconds since 1970 or an ISO 8601 time;'),
      refreshExpiresIn: responseField(
        'refresh_token_expires_in',
        'Field that holds the life of the refresh token in seconds;',
      ),
    })
    .prefault({}),
})

const refresh = z.strictObject({
  early: duration('5m').describe("Refresh this long before expiry, but never more than 10 % of the token's life."),
  keepAlive: duration(null).describe('Refresh at least this often even with no traffic; null = only when used.'),
  preserveRefreshToken: scalarBoolean(false).describe(
    'Ask the provider not to rotate on ordinary refreshes (preserve_refresh_token=true); for blackbaud-sky.',
  ),
  renewBefore: duration('60d').describe(
    'Rotate deliberately when the refresh token has less than this left; without traffic at half of its life if that is later.',
  ),
  accessTokenLifetime: duration(null).describe(
    'Life of an access token where the token answer does not tell; null = used until it is rejected.',
  ),
  refreshTokenLifetime: duration(null).describe(
    'Life of a refresh token, counted from the last token answer, where that does not tell; null = unknown.',
  ),
  on: z
    .array(tokenRejectionRule)
    .default([{ status: 401, unlessBody: ['subscription key', '"errors":'], when: 'always' }])
    .describe('Which upstream answers mean that the token is no good; the first rule that fits counts.'),
  cooldown: duration('60s').describe(
    'After a fresh token was rejected too, no further rejection-driven refresh for this long.',
  ),
  timeout: duration('15s').describe('Longest wait for the token endpoint, connection included.'),
})

export const credentialSchema = z.strictObject({
  provider: z.string().default('generic').describe('The preset: its fields are the defaults of this credential.'),
  clientId: optionalText().describe('client_id of the registered application.'),
  clientSecret: secret().describe('client_secret of the registered application.'),
  headers: headerValues
    .register(traits, { secret: true })
    .default({})
    .describe(
      'Sent with every request that uses this credential; a list = interchangeable keys, failed over in order. {uuid} is fresh for each attempt.',
    ),
  refreshToken: secret().describe('Optional seed: used when the store holds nothing or a dead grant, and never twice.'),
  settings: textMap().default({}).describe("Values that the preset's URLs need, such as host and instance for highq."),
  subjectHeader: z
    .union([z.literal('').transform(() => null), headerName], { error: 'must be an HTTP field name' })
    .nullable()
    .default(null)
    .describe('When set, one token set per value of this request header (many tenants or customers).'),
  grant: z
    .enum(['authorization_code', 'client_credentials', 'refresh_token', 'device_code'])
    .default('authorization_code')
    .describe('How the first token is obtained; refresh_token = it is imported or seeded.'),
  authorizationUrl: optionalText().describe('Authorization endpoint, where a person logs in.'),
  deviceAuthorizationUrl: optionalText().describe('Device authorization endpoint (RFC 8628).'),
  tokenUrl: optionalText().describe('Token endpoint: https, or http on this machine.'),
  redirectUri: optionalText().describe(
    'Redirect URI exactly as registered with the provider; default: <admin publicUrl>/callback.',
  ),
  clientAuthentication: z
    .union(
      [
        z.enum(['basic', 'basic-raw', 'body', 'none']),
        z.templateLiteral(['credential:', z.string().regex(/[A-Za-z0-9][A-Za-z0-9_-]*/)]),
      ],
      {
        error: ({ input }) =>
          `must be basic, basic-raw, body, none or credential:<name>${didYouMean(input, ['basic', 'basic-raw', 'body', 'none'])}`,
      },
    )
    .default('basic')
    .describe(
      'basic (form-encoded, RFC 6749 section 2.3.1), basic-raw (not encoded), body, none, or credential:<name> (bearer of another credential).',
    ),
  scopes: z.array(z.string().min(1)).default([]).describe('Scopes asked for at login.'),
  scopeSeparator: z.string().default(' ').describe('What stands between scopes; RFC 6749 wants a space.'),
  authorizationParams: textMap().default({}).describe('Further parameters of the authorization request.'),
  pkce: scalarBoolean(true).describe('Use PKCE with S256 (RFC 7636) at login.'),
  tokenRequest: tokenRequest.prefault({}),
  tokenResponse: tokenResponse.prefault({}),
  inject: z
    .strictObject({
      header: headerName.default('Authorization').describe('Header field that carries the token to the upstream.'),
      value: headerValue
        .regex(/\{token\}/, 'must contain {token}')
        .default('Bearer {token}')
        .describe('Value of that field; {token} stands for the access token.'),
    })
    .prefault({}),
  refresh: refresh.prefault({}),
  keyRejected: z
    .array(rejectionRule)
    .default([{ status: 401, onlyBody: ['subscription key'] }])
    .describe('Which upstream answers mean that a key of a header list is no good, so that the next one is tried.'),
  tls: tls.prefault({}),
})
