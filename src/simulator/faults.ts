import { parseDuration } from './duration.ts'

/** Where a fault strikes. */
export type FaultTarget = 'token' | 'api' | 'authorization'

export interface FaultDefinition {
  target: FaultTarget
  summary: string
  /** What may follow the equals sign; a fault without a value takes its count there. */
  value?: { kind: 'duration' | 'number' | 'text'; default: string }
}

/** Every fault that can be ordered. Unless a sentence says that it rotates, a token fault spends no refresh token. */
export const faultTable = {
  'token-400': { target: 'token', summary: 'Answers 400 invalid_request.' },
  'token-invalid-grant': { target: 'token', summary: 'Answers invalid_grant although the refresh token is good.' },
  'token-invalid-client': { target: 'token', summary: 'Answers invalid_client although the client is right.' },
  'token-429': {
    target: 'token',
    summary: 'Answers 429 with Retry-After: VALUE seconds.',
    value: { kind: 'number', default: '2' },
  },
  'token-500': { target: 'token', summary: 'Answers 500 with a line of text.' },
  'token-503': {
    target: 'token',
    summary: 'Answers 503 with Retry-After: VALUE seconds.',
    value: { kind: 'number', default: '2' },
  },
  'token-slow': {
    target: 'token',
    summary: 'Does its work (rotates), then waits VALUE before it answers.',
    value: { kind: 'duration', default: '1s' },
  },
  'token-timeout': { target: 'token', summary: 'Takes the request and never answers.' },
  'token-reset': { target: 'token', summary: 'Closes the connection before doing anything.' },
  'token-lost-answer': { target: 'token', summary: 'Rotates, then closes the connection: the new tokens are lost.' },
  'token-cut': { target: 'token', summary: 'Closes the connection in the middle of the answer.' },
  'token-truncated': { target: 'token', summary: 'Answers 200 with JSON that ends half-way.' },
  'token-garbage': { target: 'token', summary: 'Answers 200 with bytes that are no text.' },
  'token-html': { target: 'token', summary: 'Answers 200 with an HTML page, as a captive portal or a balancer does.' },
  'token-empty': { target: 'token', summary: 'Answers 200 without a body.' },
  'token-array': { target: 'token', summary: 'Answers 200 with an empty JSON array.' },
  'token-huge': {
    target: 'token',
    summary: 'Answers 200 with VALUE megabytes of JSON.',
    value: { kind: 'number', default: '50' },
  },
  'token-error-200': { target: 'token', summary: 'Answers 200 with {"error":"invalid_grant"}.' },
  'token-redirect': { target: 'token', summary: 'Answers 307 to another path; stats count whoever follows.' },
  'token-201': { target: 'token', summary: 'Issues tokens (rotates) with status 201.' },
  'token-no-type': { target: 'token', summary: 'Issues tokens (rotates) without token_type.' },
  'token-no-access': { target: 'token', summary: 'Answers 200 without an access token.' },
  'token-null-refresh': {
    target: 'token',
    summary: 'Answers with "refresh_token": null; the presented one stays good.',
  },
  'token-no-refresh': { target: 'token', summary: 'Leaves refresh_token out; the presented one stays good.' },
  'token-same-refresh': { target: 'token', summary: 'Repeats the presented refresh token, which stays good.' },
  'token-expires-in': {
    target: 'token',
    summary:
      'Issues tokens (rotates) with expires_in VALUE, read as JSON if it can be ("3600" in quotes is text); missing leaves it out.',
    value: { kind: 'text', default: 'missing' },
  },
  'token-control-chars': {
    target: 'token',
    summary: 'Answers with a line break and a header inside the access token.',
  },
  'token-space': {
    target: 'token',
    summary: 'Answers with a space inside the access token; the presented refresh token stays good.',
  },
  'api-401': { target: 'api', summary: "Answers as for an expired token, in the provider's own shape." },
  'api-401-key': { target: 'api', summary: 'Answers as for an invalid API key (blackbaud-sky, maya).' },
  'api-401-role': { target: 'api', summary: 'Answers 401 for a permission problem (blackbaud-sky, maya).' },
  'api-403': { target: 'api', summary: 'Answers as for a missing permission.' },
  'api-403-quota': {
    target: 'api',
    summary: "Answers as for a spent daily quota (the provider's own status, 403 or 429).",
  },
  'api-429': {
    target: 'api',
    summary: 'Answers as for too many calls in a second; VALUE seconds where the provider tells them.',
    value: { kind: 'number', default: '1' },
  },
  'api-500': { target: 'api', summary: 'Answers 500.' },
  'api-503': { target: 'api', summary: 'Answers 503 with the text "no healthy upstream".' },
  'api-slow': {
    target: 'api',
    summary: 'Waits VALUE before it answers.',
    value: { kind: 'duration', default: '1s' },
  },
  'api-timeout': { target: 'api', summary: 'Takes the request and never answers.' },
  'api-early': { target: 'api', summary: 'Answers 413 and closes before the body was read.' },
  'api-reset': { target: 'api', summary: 'Closes the connection without an answer.' },
  'api-cut': { target: 'api', summary: 'Closes the connection in the middle of the answer.' },
  'authorize-denied': { target: 'authorization', summary: 'The person says no: error=access_denied.' },
  'authorize-error': {
    target: 'authorization',
    summary: 'Redirects back with error=VALUE.',
    value: { kind: 'text', default: 'server_error' },
  },
  'authorize-wrong-state': { target: 'authorization', summary: 'Redirects back with a state that nobody sent.' },
  'authorize-wrong-iss': {
    target: 'authorization',
    summary: 'Redirects back with the iss of another server (RFC 9207).',
  },
} as const satisfies Record<string, FaultDefinition>

export type FaultName = keyof typeof faultTable
export const faultNames = Object.keys(faultTable) as FaultName[]

export interface Fault {
  name: FaultName
  /** Only for faults that take one; their default otherwise. */
  value?: string
  /** How many calls it strikes; without a count, all of them until the faults are cleared. */
  count?: number
  /** Only calls with this grant_type (token faults) or with a path that begins so (API faults). */
  on?: string
}

/** Reads `NAME`, `NAME=VALUE`, `NAME@COUNT`, `NAME=VALUE@COUNT`, and `NAME=COUNT` for a fault without a value. */
export function parseFault(text: string): Fault {
  const [, name = '', value, at] = /^([^=@]*)(?:=(.*?))?(?:@(\d+))?$/s.exec(text) ?? []
  const definition = definitionOf(name)
  const count = definition.value === undefined ? (value ?? at) : at
  return checkFault({
    name: name as FaultName,
    ...(definition.value !== undefined && value !== undefined && { value }),
    ...(count !== undefined && { count: Number(count) }),
  })
}

/** Throws a RangeError that says what is wrong; gives the fault back with its default value filled in. */
export function checkFault(fault: Fault): Fault {
  const definition = definitionOf(fault.name)
  const { count } = fault
  if (count !== undefined && !(Number.isSafeInteger(count) && count > 0)) {
    throw new RangeError(`fault ${fault.name}: the count must be a whole number above 0`)
  }
  if (definition.value === undefined) return fault
  const value = fault.value ?? definition.value.default
  if (definition.value.kind === 'duration') parseDuration(value)
  if (definition.value.kind === 'number' && !/^\d+$/.test(value)) {
    throw new RangeError(`fault ${fault.name}: "${value}" is not a whole number`)
  }
  return { ...fault, value }
}

function definitionOf(name: string): FaultDefinition {
  const definition = (faultTable as Record<string, FaultDefinition>)[name]
  if (definition === undefined || !Object.hasOwn(faultTable, name)) {
    throw new RangeError(`no fault is called "${name}"; "simulate --fault list" shows them all`)
  }
  return definition
}

/** The faults in force. Of those that apply to a call all are taken, so that a slow and a broken answer combine. */
export class FaultQueue {
  #faults: Fault[] = []

  add(fault: Fault): void {
    this.#faults.push({ ...checkFault(fault) })
  }

  clear(): void {
    this.#faults = []
  }

  list(): Fault[] {
    return this.#faults.map((fault) => ({ ...fault }))
  }

  take(target: FaultTarget, about: string): Fault[] {
    if (this.#faults.length === 0) return []
    const taken = this.#faults.filter(
      (fault) => faultTable[fault.name].target === target && (fault.on === undefined || about.startsWith(fault.on)),
    )
    for (const fault of taken) if (fault.count !== undefined) fault.count--
    this.#faults = this.#faults.filter((fault) => fault.count !== 0)
    return taken
  }
}
