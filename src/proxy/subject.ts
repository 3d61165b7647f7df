import { ProxyError } from '../errors.ts'

/** Longer values are no identifiers; each would cost a token set in memory and a document in the store. */
const maxLength = 256

/**
 * The subject that a request names in the credential's subjectHeader. Throws `subject_required` when there is none and `bad_request` when it is
 * given twice, too long or holds more than visible ASCII: two readings of one request must never pick two people's tokens.
 */
export function readSubject(rawHeaders: readonly string[], subjectHeader: string): string {
  const wanted = subjectHeader.toLowerCase()
  let subject: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== wanted) continue
    if (subject !== undefined) throw new ProxyError('bad_request', { detail: `Send ${subjectHeader} only once.` })
    subject = rawHeaders[index + 1]
  }
  if (subject === undefined || subject === '') {
    throw new ProxyError('subject_required', {
      detail: `Send the ${subjectHeader} header: it says whose tokens the request uses.`,
    })
  }
  if (subject.length > maxLength || !/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(subject)) {
    throw new ProxyError('bad_request', {
      detail: `The value of ${subjectHeader} must be 1 to ${maxLength} visible ASCII characters.`,
    })
  }
  return subject
}
