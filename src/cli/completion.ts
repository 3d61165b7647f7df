import { exitCode } from './command-failure.ts'
import type { Io } from './io.ts'

/** What a shell may complete; made from the command table, so that it cannot fall behind it. */
export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Long options, with their dashes. */
  readonly options: readonly string[]
  readonly subcommands: readonly string[]
}

const shells: Readonly<Record<string, (table: readonly CommandEntry[]) => string>> = { bash, zsh, fish }

/** Prints a completion script for bash, zsh or fish. Exit code 2 for another shell. */
export function completion(shell: string, table: readonly CommandEntry[], io: Io): number {
  const write = Object.hasOwn(shells, shell) ? shells[shell] : undefined
  if (write === undefined) {
    io.stderr('shells that can be completed: bash, zsh, fish\n')
    return exitCode.usage
  }
  io.stdout(write(table))
  return exitCode.ok
}

const words = ({ subcommands, options }: CommandEntry) => [...subcommands, ...options].join(' ')

function bash(table: readonly CommandEntry[]): string {
  const cases = table.map((entry) => `    ${entry.name}) words='${words(entry)}' ;;`)
  return `# bash completion for bearer-sidecar; to use it: source <(bearer-sidecar completion bash)
_bearer_sidecar() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command='' words='' index
  COMPREPLY=()
  case $previous in --config|--dir) compopt -o default; return ;; esac
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in --config) ((index++)) ;; -*) ;; *) command=\${COMP_WORDS[index]}; break ;; esac
  done
  case $command in
    '') words='${table.map(({ name }) => name).join(' ')} --config --help --version' ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _bearer_sidecar bearer-sidecar
`
}

function zsh(table: readonly CommandEntry[]): string {
  const quoted = (text: string) => text.replaceAll("'", "'\\''").replaceAll(':', '\\:')
  const commands = table.map(({ name, summary }) => `    '${name}:${quoted(summary)}'`)
  const cases = table.map((entry) => `    ${entry.name}) compadd -- ${words(entry)} ;;`)
  return `#compdef bearer-sidecar
# zsh completion for bearer-sidecar; to use it: source <(bearer-sidecar completion zsh)
_bearer_sidecar() {
  local -a commands=(
${commands.join('\n')}
  )
  case $words[CURRENT-1] in --config|--dir) _files; return ;; esac
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${cases.join('\n')}
  esac
}
compdef _bearer_sidecar bearer-sidecar
`
}

function fish(table: readonly CommandEntry[]): string {
  const quoted = (text: string) => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  const inside = (name: string) => `complete -c bearer-sidecar -n '__fish_seen_subcommand_from ${name}'`
  const lines = table.flatMap(({ name, summary, options, subcommands }) => [
    `complete -c bearer-sidecar -n __fish_use_subcommand -a ${name} -d '${quoted(summary)}'`,
    ...subcommands.map((subcommand) => `${inside(name)} -a ${subcommand}`),
    ...options.map((option) => {
      const file = /^--(config|dir)$/.test(option) ? ' -r -F' : ''
      return `${inside(name)} -l ${option.replace(/^--/, '')}${file}`
    }),
  ])
  return `# fish completion for bearer-sidecar; to use it: bearer-sidecar completion fish | source
complete -c bearer-sidecar -f
${lines.join('\n')}
`
}
