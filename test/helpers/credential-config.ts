import { credentialSchema } from '../../src/config/credential-schema.ts'
import type { CredentialConfig } from '../../src/config/schema.ts'

/** A credential as the config loader would give it, with the fields that a test cares about. */
export function credentialConfig(fields: Record<string, unknown> = {}): CredentialConfig {
  return credentialSchema.parse({
    clientId: 'client-1',
    clientSecret: 'client-secret-1',
    tokenUrl: 'http://127.0.0.1:1/token',
    ...fields,
  })
}
