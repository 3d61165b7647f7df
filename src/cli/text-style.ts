import { styleText } from 'node:util'
import type { Io } from './io.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'quiet' | 'strong'

const formats = { good: 'green', warn: 'yellow', bad: 'red', quiet: 'dim', strong: 'bold' } as const

/** Colours text for standard output: on a terminal only, and not where NO_COLOR is set (no-color.org). */
export function painter(io: Io): (tone: Tone, text: string) => string {
  const { NO_COLOR: off = '', FORCE_COLOR: on = '', TERM } = io.env
  const coloured = off === '' && (on !== '' ? on !== '0' : io.terminal && TERM !== 'dumb')
  return (tone, text) => (coloured ? styleText(formats[tone], text, { validateStream: false }) : text)
}
