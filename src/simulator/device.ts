import type { DeviceCodes } from './device-codes.ts'
import type { Answer, Exchange } from './http.ts'
import { escapeHtml, json, readBody } from './http.ts'
import { consentPage, page } from './pages.ts'
import type { Provider } from './provider.ts'
import type { Settings } from './settings.ts'

export const verificationPath = '/device'

/** The device authorization endpoint (RFC 8628 section 3.1). */
export async function answerDeviceAuthorization(
  devices: DeviceCodes,
  settings: Settings,
  exchange: Exchange,
): Promise<Answer> {
  const form = new URLSearchParams((await readBody(exchange.request)).head.toString('utf8'))
  const params = new URLSearchParams([...exchange.query, ...form])
  if (params.get('client_id') !== settings.clientId) {
    return json(400, { error: 'invalid_client', error_description: 'Unknown client_id.' })
  }
  const { deviceCode, userCode, expiresIn } = devices.begin(settings.clientId, params.get('scope') ?? settings.scope)
  const verificationUri = `${exchange.origin}${verificationPath}`
  if (settings.autoConsent) devices.decide(userCode, 'allow')
  return json(200, {
    device_code: deviceCode,
    user_code: userCode,
    verification_uri: verificationUri,
    verification_uri_complete: `${verificationUri}?user_code=${userCode}`,
    expires_in: expiresIn,
    interval: settings.deviceInterval,
  })
}

/** The page on which a person types the code (RFC 8628 section 3.3); `auto=1` or `deny=1` decides at once. */
export async function answerVerification(
  devices: DeviceCodes,
  provider: Provider,
  exchange: Exchange,
): Promise<Answer> {
  const { query } = exchange
  const form = new URLSearchParams(
    exchange.method === 'POST' ? (await readBody(exchange.request)).head.toString('utf8') : '',
  )
  const userCode = form.get('user_code') ?? query.get('user_code') ?? ''
  const decision = query.has('deny') ? 'deny' : query.has('auto') ? 'allow' : form.get('decision')
  if (decision === null) {
    const field = `<p><label>Code <input name="user_code" value="${escapeHtml(userCode)}"></label></p>`
    return consentPage(provider.title, 'Type the code that your device shows.', field)
  }
  const known = devices.decide(userCode, decision === 'allow' ? 'allow' : 'deny')
  if (known) return page(200, 'Thank you', '<p>You can go back to your device.</p>')
  return page(404, 'Unknown code', '<p>No device waits under this code.</p>')
}
