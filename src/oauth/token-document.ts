import type { CredentialConfig } from '../config/schema.ts'
import { refreshTokenOnly, TokenSet } from '../tokens/token-set.ts'
import { LoginError } from '../tokens/credentials.ts'
import { instant, readTokens } from './token-answer.ts'
import { parseTokenBody, type TokenBody } from './token-body.ts'

/** Member in which an exported document carries absolute times, so that it means the same whenever it is imported. */
const ownMember = 'bearer_sidecar'

/**
 * Reads what a person brings: a bare refresh token, or a token response in the provider's own field names, perhaps with a refresh token alone.
 * Rejects with LoginError, which never shows the content.
 */
export async function importedTokens(
  config: CredentialConfig,
  document: string | TokenBody,
  now: number,
): Promise<TokenSet> {
  const body = typeof document === 'string' ? await parseDocument(config, document.trim()) : document
  if (typeof body === 'string') return refreshTokenOnly(body, now, assumedExpiry(config, now))
  const { fields } = config.tokenResponse
  const own = ownTimes(body)
  const outcome = readTokens(config, body, now)
  if (outcome?.kind === 'refresh-token-only') {
    return refreshTokenOnly(outcome.refreshToken, now, own.refreshExpiresAt ?? assumedExpiry(config, now))
  }
  if (outcome?.kind !== 'success') {
    const names = [fields.accessToken, fields.refreshToken].filter((name) => name !== null).join(' or ')
    throw new LoginError(
      `The document holds no usable token: it needs ${names}, as the provider's token endpoint names them.`,
    )
  }
  const { tokens } = outcome
  // A pushed or exported token may have expired on its way: its absolute expiry stands even when it is past.
  const stated = fields.expiresAt === null ? undefined : instant(body[fields.expiresAt])
  return new TokenSet({
    ...fieldsOf(tokens),
    issuedAt: Math.min(own.issuedAt ?? now, now),
    // As new as the import: it is what a person decided last.
    refreshIssuedAt: tokens.refreshIssuedAt,
    expiresAt: own.expiresAt ?? stated ?? tokens.expiresAt,
    refreshExpiresAt: own.refreshExpiresAt ?? tokens.refreshExpiresAt,
  })
}

/** The opposite of importedTokens: holds secrets in clear. */
export function exportedTokens(config: CredentialConfig, tokens: TokenSet, now: number): Record<string, unknown> {
  const { fields } = config.tokenResponse
  const seconds = (at: number) => Math.max(0, Math.floor((at - now) / 1000))
  const iso = (at: number | undefined) => (at === undefined ? undefined : new Date(at).toISOString())
  const { accessToken, refreshToken, issuedAt, expiresAt, refreshExpiresAt } = tokens
  return {
    ...(accessToken !== '' && { [fields.accessToken]: accessToken }),
    ...(fields.refreshToken !== null && refreshToken !== undefined && { [fields.refreshToken]: refreshToken }),
    ...(fields.expiresIn !== null &&
      expiresAt !== undefined &&
      accessToken !== '' && { [fields.expiresIn]: seconds(expiresAt) }),
    ...(fields.expiresAt !== null && expiresAt !== undefined && { [fields.expiresAt]: Math.floor(expiresAt / 1000) }),
    ...(fields.refreshExpiresIn !== null &&
      refreshExpiresAt !== undefined && { [fields.refreshExpiresIn]: seconds(refreshExpiresAt) }),
    ...(tokens.scope !== undefined && { scope: tokens.scope }),
    [ownMember]: {
      issuedAt: iso(issuedAt),
      expiresAt: iso(expiresAt),
      refreshExpiresAt: iso(refreshExpiresAt),
    },
  }
}

async function parseDocument(config: CredentialConfig, text: string): Promise<string | TokenBody> {
  if (text === '')
    throw new LoginError('Nothing came on standard input: give a refresh token or a JSON token response.')
  const { accessToken, refreshToken } = config.tokenResponse.fields
  const form = [accessToken, refreshToken].some((name) => name !== null && `&${text}`.includes(`&${name}=`))
  if (!form && !/^[{<]/.test(text)) {
    // RFC 6749 appendix A.17, without the space: anything else is a file that holds something else.
    if (/^["[]|[^\x21-\x7e]/.test(text))
      throw new LoginError('The input is neither a single refresh token nor a JSON token response.')
    return text
  }
  const body = await parseTokenBody(text, 'auto')
  if (body === undefined)
    throw new LoginError('The input begins like a token response but cannot be parsed; is it complete?')
  return body
}

type OwnTimes = Partial<Record<'issuedAt' | 'expiresAt' | 'refreshExpiresAt', number | undefined>>

function ownTimes(body: TokenBody): OwnTimes {
  const own = body[ownMember]
  if (typeof own !== 'object' || own === null) return {}
  const at = (name: keyof OwnTimes) => instant((own as TokenBody)[name])
  return {
    issuedAt: at('issuedAt'),
    expiresAt: at('expiresAt'),
    refreshExpiresAt: at('refreshExpiresAt'),
  }
}

const assumedExpiry = (config: CredentialConfig, now: number) =>
  config.refresh.refreshTokenLifetime === null ? undefined : now + config.refresh.refreshTokenLifetime

const fieldsOf = ({ accessToken, refreshToken, scope }: TokenSet) => ({ accessToken, refreshToken, scope })
