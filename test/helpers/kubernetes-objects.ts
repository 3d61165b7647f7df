/** What the API server of the tests knows of Secrets and Leases: their kinds, and what it refuses. */

export interface ApiObject {
  apiVersion: string
  kind: string
  metadata: Record<string, unknown> & { name: string; resourceVersion?: string }
  [field: string]: unknown
}

/** What the API server answers instead of an object. */
export class Status extends Error {
  readonly code: number
  readonly reason: string

  constructor(code: number, reason: string, message: string) {
    super(message)
    this.code = code
    this.reason = reason
  }
}

export const kinds: Record<string, { root: string; group: string; kind: string; apiVersion: string }> = {
  secrets: { root: '/api/v1', group: '', kind: 'Secret', apiVersion: 'v1' },
  leases: {
    root: '/apis/coordination.k8s.io/v1',
    group: 'coordination.k8s.io',
    kind: 'Lease',
    apiVersion: 'coordination.k8s.io/v1',
  },
}
const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** Throws the Status that the real API server would answer. */
export function validate(resource: string, object: ApiObject): void {
  const { kind, apiVersion } = kinds[resource] ?? {}
  if (object.kind !== kind || object.apiVersion !== apiVersion)
    throw new Status(400, 'BadRequest', 'the kind or apiVersion does not match the URL')
  const { name } = object.metadata
  if (name.length > 253 || !dnsName.test(name))
    throw new Status(422, 'Invalid', `metadata.name: Invalid value: "${name}"`)
  if (resource === 'secrets') validateSecret(object)
  else validateLease((object['spec'] ?? {}) as Record<string, unknown>)
}

function validateSecret(object: ApiObject): void {
  let size = 0
  for (const [key, value] of Object.entries((object['data'] ?? {}) as Record<string, unknown>)) {
    if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key)) throw new Status(422, 'Invalid', `data[${key}]: Invalid value`)
    const bytes = Buffer.from(String(value), 'base64')
    if (typeof value !== 'string' || bytes.toString('base64') !== value)
      throw new Status(400, 'BadRequest', 'illegal base64 data at input byte 0')
    size += bytes.length
  }
  if (size > 1024 ** 2)
    throw new Status(422, 'Invalid', 'Secret is invalid: data: Too long: may not be more than 1048576 bytes')
}

function validateLease(spec: Record<string, unknown>): void {
  const { leaseDurationSeconds, leaseTransitions, renewTime, acquireTime } = spec
  if (!Number.isInteger(leaseDurationSeconds) || (leaseDurationSeconds as number) <= 0) {
    throw new Status(422, 'Invalid', 'spec.leaseDurationSeconds: Invalid value: must be greater than 0')
  }
  if (!Number.isInteger(leaseTransitions) || (leaseTransitions as number) < 0)
    throw new Status(422, 'Invalid', 'spec.leaseTransitions: Invalid value')
  for (const time of [renewTime, acquireTime]) {
    // metav1.MicroTime
    if (typeof time !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(time))
      throw new Status(400, 'BadRequest', 'parsing time')
  }
}
