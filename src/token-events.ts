import type { Metrics } from './admin/metrics.ts'
import type { Logger } from './logger.ts'
import type { Notifier } from './notifier.ts'
import type { GrantId } from './stores/token-store.ts'
import type { TokenEvents } from './tokens/token-events.ts'

const day = 86_400_000

/** What the token managers tell, as log lines (one per change, not per request), metrics and notifications. */
export function tokenEvents(logger: Logger, metrics: Metrics | undefined, notifier: Notifier): TokenEvents {
  return {
    refreshed({ id, reason, outcome, duration, message }) {
      metrics?.refreshFinished(id.credential, reason, outcome, duration / 1000)
      const fields = {
        ...named(id),
        reason,
        outcome,
        durationMs: Math.round(duration),
        ...(message !== undefined && { error: message }),
      }
      if (outcome === 'success') logger.info(fields, 'token refreshed')
      else
        logger.error(
          fields,
          outcome === 'fatal' ? 'token refresh refused' : 'token refresh failed, will be tried again',
        )
    },
    stateChanged(id, from, { provider, state, lastError, nextStep, accessTokenExpiresAt, refreshTokenExpiresAt }) {
      const bad = state === 'login_required' || state === 'reauthorization_required'
      // A subject appears with its first request; only what is wrong with it is worth a line.
      if (from === undefined && !bad && id.subject !== undefined) return
      const facts = {
        ...named(id),
        provider,
        state,
        ...(from && { from }),
        accessTokenExpiresAt,
        refreshTokenExpiresAt,
      }
      if (state === 'active') logger.info(facts, `credential ${id.credential} is active`)
      else
        logger[bad ? 'error' : 'warn'](
          { ...facts, error: lastError, nextStep },
          `credential ${id.credential} is ${state}`,
        )
      const message =
        lastError ?? (state === 'login_required' ? 'Nobody has logged in yet.' : `The credential is ${state}.`)
      if (bad) notifier.send({ event: state, ...named(id), message, ...(nextStep !== null && { nextStep }) })
      else if (from === 'login_required' || from === 'reauthorization_required')
        notifier.send({ event: 'recovered', ...named(id), message: 'The credential works again.' })
    },
    savedChanged(id, unsaved, message) {
      if (!unsaved) {
        logger.info(named(id), 'tokens saved: nothing is held in memory alone any more')
        return
      }
      const nextStep =
        'Make the store writable again; the save is retried by itself. Do not stop the process before that.'
      logger.error({ ...named(id), error: message, nextStep }, 'tokens could not be saved and are held in memory only')
      notifier.send({
        event: 'unsaved_tokens',
        ...named(id),
        message: 'The newest tokens are held in memory only.',
        nextStep,
      })
    },
    refreshTokenExpiring(id, expiresAt) {
      const at = new Date(expiresAt).toISOString()
      const days = Math.max(0, Math.floor((expiresAt - Date.now()) / day))
      const nextStep = `Run: bearer-sidecar login ${id.credential}`
      logger.warn(
        { ...named(id), refreshTokenExpiresAt: at, daysLeft: days, nextStep },
        'the refresh token expires soon',
      )
      notifier.send({
        event: 'refresh_token_expiring',
        ...named(id),
        message: `The refresh token expires at ${at}.`,
        nextStep,
      })
    },
  }
}

const named = ({ credential, subject }: GrantId) => ({ credential, ...(subject !== undefined && { subject }) })
