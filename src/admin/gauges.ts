import type { CredentialStatus } from '../tokens/credentials.ts'
import type { Family } from './exposition.ts'

/** Gauges that are read from the credentials whenever Prometheus asks, so that they can never be out of date. */
export function credentialGauges(list: () => readonly CredentialStatus[]): Family[] {
  /** `value` undefined = no sample. Subjects have none of their own: their number is the users' business. */
  const gauge = (
    name: string,
    help: string,
    value: (own: CredentialStatus, all: readonly CredentialStatus[]) => number | undefined,
  ): Family => ({
    name,
    help,
    type: 'gauge',
    *samples() {
      const all = list()
      for (const own of all) {
        const sample = own.subject === undefined ? value(own, all) : undefined
        if (sample !== undefined) yield { labels: { credential: own.name }, value: sample }
      }
    },
  })
  return [
    gauge(
      'bearer_sidecar_access_token_expiry_timestamp_seconds',
      'When the access token expires; absent while unknown.',
      (own) => unixSeconds(own.accessTokenExpiresAt),
    ),
    gauge(
      'bearer_sidecar_refresh_token_expiry_timestamp_seconds',
      'When the refresh token expires; absent while unknown.',
      (own) => unixSeconds(own.refreshTokenExpiresAt),
    ),
    gauge('bearer_sidecar_login_required', '1 while a person must log in, else 0.', ({ state }) =>
      state === 'login_required' || state === 'reauthorization_required' ? 1 : 0,
    ),
    gauge(
      'bearer_sidecar_unsaved_tokens',
      'Token sets held in memory that could not be saved, those of subjects included.',
      ({ name }, all) => all.reduce((sum, one) => sum + (one.name === name && one.unsaved ? 1 : 0), 0),
    ),
  ]
}

/** The few process figures that an alert or a memory limit is set by, under the names every Prometheus client uses. */
export const processFigures: readonly Family[] = [
  {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes.',
    type: 'gauge',
    samples: () => [{ value: process.memoryUsage.rss() }],
  },
  {
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent in seconds.',
    type: 'counter',
    samples: () => {
      const { user, system } = process.cpuUsage()
      return [{ value: (user + system) / 1e6 }]
    },
  },
  {
    name: 'process_start_time_seconds',
    help: 'Start time of the process since the Unix epoch in seconds.',
    type: 'gauge',
    samples: () => [{ value: performance.timeOrigin / 1000 }],
  },
]

function unixSeconds(time: string | null): number | undefined {
  return time === null ? undefined : Date.parse(time) / 1000
}
