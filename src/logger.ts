import type { Writable } from 'node:stream'
import pino, { type Logger } from 'pino'
import type { Config } from './config/schema.ts'
import { describeError } from './errors.ts'
import { LineBuffer } from './line-buffer.ts'

export type { Logger } from 'pino'

/** Field names whose values never reach a log, whatever puts them there. */
const secretFields = ['authorization', 'accessToken', 'refreshToken', 'clientSecret', 'access_token', 'refresh_token', 'client_secret', 'password', 'cookie'] // prettier-ignore

export interface LogOutput {
  readonly logger: Logger
  /** Writes out what is buffered; before the process ends. Resolves within about a second, whatever the output does. */
  flush(): Promise<void>
}

/**
 * One line per event: JSON, or for a person at a terminal coloured text. Errors are logged as their messages, never as objects, because an
 * error of a library may carry the request that it failed on.
 */
export async function openLog(config: Config['log'], terminal: boolean): Promise<LogOutput> {
  const pretty = config.format === 'pretty' || (config.format === 'auto' && terminal)
  const stream = pretty ? await prettyStream(terminal) : new LineBuffer(1)
  const logger = pino(
    {
      level: config.level,
      base: null,
      timestamp: timeField(),
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
      serializers: { err: describeError, error: describeError },
    },
    stream,
  )
  const flush = async () => {
    if (stream instanceof LineBuffer) await stream.flush()
  }
  return { logger, flush }
}

/** The field `time`, ISO 8601 in UTC. All but the milliseconds is written once a second: Date.toISOString() took a sixth of a whole line's time. */
function timeField(): () => string {
  let second = NaN
  let upToSecond = ''
  return () => {
    const now = Date.now()
    const milliseconds = now % 1000
    if (now - milliseconds !== second) {
      second = now - milliseconds
      upToSecond = `,"time":"${new Date(second).toISOString().slice(0, -4)}`
    }
    return `${upToSecond}${String(milliseconds).padStart(3, '0')}Z"`
  }
}

async function prettyStream(colorize: boolean): Promise<Writable> {
  const { default: pretty } = await import('pino-pretty')
  return pretty({
    colorize: colorize && process.stdout.hasColors(),
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname',
    sync: true,
    singleLine: true,
  })
}
