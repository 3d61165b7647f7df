import { z } from 'zod'
import { tls } from './credential-schema.ts'
import {
  duration,
  headerName,
  headerValue,
  optionalText,
  scalarBoolean,
  scalarNumber,
  size,
  traits,
} from './scalars.ts'

const methodMessage = 'must be an HTTP method name'
const methodName = z.string({ error: methodMessage }).regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, methodMessage)

export const rateLimit = z.strictObject({
  perSecond: scalarNumber()
    .optional()
    .describe('Requests sent in any sliding second, replays included; each process counts its own.'),
  perDay: scalarNumber()
    .optional()
    .describe(
      'Requests per day from 00:00 UTC, replays included; each process counts its own, and anew after a restart.',
    ),
  queue: scalarNumber(100).describe('Requests that may wait; further ones are answered 429.'),
  maxWait: duration('10s').describe('Longest wait in the queue; then 429.'),
})

export const routeSchema = z.strictObject({
  path: z.string().regex(/^\//, 'must begin with /').describe('Path prefix; the longest one that fits wins.'),
  name: optionalText().describe('Metric and log label; default: the path.'),
  upstream: z.string().min(1).describe('Where requests go; what follows the prefix is appended to its path.'),
  credential: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
      error: 'must be the name of a credential or a list of names',
    })
    .describe('The credential whose token is sent, or a list when a request needs several.'),
  headers: z
    .record(headerName, headerValue)
    .register(traits, { secret: true })
    .default({})
    .describe("Sent with every request of this route; wins over the credential's. {uuid} is fresh for each attempt."),
  allowMethods: z
    .array(methodName)
    .default([])
    .describe('Methods that are forwarded, in upper case; empty = all but CONNECT and TRACE.'),
  allowPaths: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Globs of whole paths that are forwarded, as callers send them: * is within a segment, ** across them; no negation (!). Empty = all.',
    ),
  replayBody: size('1MiB').describe('Largest request body kept for the one replay after a rejected token.'),
  rewriteLinks: scalarBoolean(null).describe(
    "The upstream's own origin in Location and in JSON strings becomes the proxy's; null = the preset's default.",
  ),
  websocket: scalarBoolean(false).describe('Carry WebSocket connections.'),
  allowH2: scalarBoolean(true).describe('Speak HTTP/2 to an upstream that chooses it.'),
  rateLimit: rateLimit
    .nullable()
    .default(null)
    .describe(
      'Limits shared by all callers of this route; null = none. With limits, Retry-After of a 429 or 403 pauses the whole route.',
    ),
  tls: tls.prefault({}),
  allowInsecureUpstream: scalarBoolean(false).describe(
    'Allow http:// to a host that is not this machine: token and key then travel in clear text.',
  ),
})
