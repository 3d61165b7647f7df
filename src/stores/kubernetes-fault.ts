import type { Answer, Resource, Verb } from './kubernetes-api.ts'
import { StoreError } from './token-store.ts'

export interface Attempted {
  readonly verb: Verb
  readonly resource: Resource
  readonly name: string
  readonly namespace: string
}

/** The StoreError for an answer that is no success: which right is missing on what, and what to do. */
export function kubernetesFault({ status, body }: Answer, { verb, resource, name, namespace }: Attempted): StoreError {
  const kind = resource.plural === 'secrets' ? 'Secret' : 'Lease'
  const place = `${kind} ${namespace}/${name}`
  switch (status) {
    case 401:
      return new StoreError(
        'unavailable',
        "The Kubernetes API server does not accept the pod's service account token (401). Does the service account still exist?",
      )
    case 403: {
      const what = `The service account may not ${verb} ${place} (403).`
      const grant =
        verb === 'create' && kind === 'Secret'
          ? `Create it once (kubectl -n ${namespace} create secret generic ${name}), or allow verb create on secrets.`
          : `Add verb ${verb} on resource ${resource.plural} to its Role.`
      return new StoreError(verb === 'get' ? 'unavailable' : 'read-only', `${what} ${grant}`)
    }
    case 404:
      return new StoreError(
        'unavailable',
        `${place} is not there (404): the namespace or the API ${resource.root} is missing.`,
      )
    case 413:
      return tooLarge(place)
    case 422: {
      const message = typeof body['message'] === 'string' ? body['message'] : ''
      if (/too long|at most 1048576/i.test(message)) return tooLarge(place)
      if (message.includes('immutable')) {
        return new StoreError(
          'read-only',
          `${place} is marked immutable. Delete it, and create it again without that mark.`,
        )
      }
      return new StoreError('unavailable', `The Kubernetes API server finds ${place} invalid (422).`)
    }
    case 429:
      return new StoreError(
        'unavailable',
        `The Kubernetes API server asks to slow down (429) for ${place}. It is tried again by itself.`,
      )
    default:
      return new StoreError(
        'unavailable',
        `The Kubernetes API server answered ${status} to ${verb} of ${place}. It is tried again by itself.`,
      )
  }
}

/** The most that the values of a Secret may hold together, in bytes before base64. */
export const largestSecret = 1024 ** 2

export function tooLarge(place: string): StoreError {
  return new StoreError(
    'unavailable',
    `${place} would exceed 1 MiB, which is all that Kubernetes keeps in one (some hundred grants). Remove subjects, or use store.type redis.`,
  )
}
