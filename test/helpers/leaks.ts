/** The ways in which a secret might be written down, each long enough not to turn up by chance. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const written = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    new URLSearchParams({ a: secret }).toString().slice(2),
    bytes.toString('hex'),
    JSON.stringify([...bytes]).slice(1, -1),
  ]
  // Inside a longer text, such as "user:secret", base64 begins at any of three places; its first and last letters depend on the neighbours.
  for (const offset of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(offset === 0 ? 0 : 4, -4)
    written.push(text, text.replaceAll('+', '-').replaceAll('/', '_'))
  }
  // A cut token is a token too: beginnings of JWTs are all alike, middles and ends are not.
  if (secret.length >= 60) written.push(secret.slice(40, 60), secret.slice(-20))
  return [...new Set(written)].filter((text) => text.length >= 12)
}

/** Names of the secrets found in the text, with what stands around them; the secrets themselves stay out of the message. */
export function leaksIn(text: string, secrets: ReadonlyMap<string, string>): string[] {
  const leaks: string[] = []
  for (const [name, secret] of secrets) {
    for (const spelling of spellings(secret)) {
      const at = text.indexOf(spelling)
      if (at !== -1) leaks.push(`${name} after ...${text.slice(Math.max(0, at - 120), at)}`)
    }
  }
  return leaks
}
