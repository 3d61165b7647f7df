/** What a command may touch of the process it runs in; main.ts passes the real thing. */
export interface Io {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Standard output is a terminal: a person reads it. */
  readonly terminal: boolean
}
