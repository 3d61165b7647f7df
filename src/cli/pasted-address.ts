/**
 * What a person pastes after the login: the address in the browser's address bar, or only its query. undefined when it is not the end of a login:
 * it needs the state and either a code or an error (RFC 6749 sections 4.1.2 and 4.1.2.1).
 */
export function pastedCallback(text: string): URLSearchParams | undefined {
  const trimmed = text.trim().replace(/^["'<]|["'>]$/g, '')
  const query = trimmed.includes('?') ? trimmed.slice(trimmed.indexOf('?') + 1) : trimmed
  const parameters = new URLSearchParams(query.replace(/#.*$/s, ''))
  const complete = parameters.has('state') && (parameters.has('code') || parameters.has('error'))
  return complete ? parameters : undefined
}
