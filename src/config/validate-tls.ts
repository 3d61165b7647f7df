import { createSecureContext } from 'node:tls'
import type { Finding } from './problems.ts'
import type { TlsConfig } from './schema.ts'

/** Whether certificates and key are what they should be. The TLS library's own words are not repeated. */
export function tlsFindings({ ca, cert, key }: TlsConfig): Finding[] {
  const findings: Finding[] = []
  const fault = (options: { ca?: string; cert?: string; key?: string }) => {
    try {
      createSecureContext(options)
      return false
    } catch {
      return true
    }
  }
  if (ca !== null && fault({ ca })) findings.push({ path: ['tls', 'ca'], message: 'holds no usable certificate' })
  if ((cert === null) !== (key === null)) {
    const missing = cert === null ? 'cert' : 'key'
    findings.push({
      path: ['tls', missing],
      message: 'is required: a client certificate needs both cert and key',
      at: 'key',
    })
  }
  if (cert === null || key === null) return findings
  if (fault({ cert })) findings.push({ path: ['tls', 'cert'], message: 'holds no usable certificate' })
  else if (fault({ key }))
    findings.push({ path: ['tls', 'key'], message: 'holds no usable private key (one without a passphrase)' })
  else if (fault({ cert, key })) findings.push({ path: ['tls', 'key'], message: 'does not belong to the certificate' })
  return findings
}
