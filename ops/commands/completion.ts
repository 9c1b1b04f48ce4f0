/**
 * `sluice completion`: a script for the shell, made from the commands as they are declared. The script holds all words
 * itself: asking the program at each Tab would take its start-up time, half a second, each time.
 */
import type { Argument, Command, Option } from 'commander'

/** What can follow at one place of the command line. */
interface Place {
  /** Names of the commands that lead here: `tenant limit`; empty at the start. */
  readonly path: string
  readonly words: readonly Word[]
  readonly options: readonly Option[]
  readonly takesFiles: boolean
}
interface Word {
  readonly name: string
  readonly about: string
}

export function completion(program: Command, shell: 'bash' | 'zsh' | 'fish'): void {
  process.stdout.write(completionScript(program, shell))
}

export function completionScript(program: Command, shell: 'bash' | 'zsh' | 'fish'): string {
  const places = placesOf(program)
  if (shell === 'fish') return fish(program.name(), places)
  const forZsh =
    '# zsh takes bash completions over.\nautoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n'
  return (shell === 'zsh' ? forZsh : '') + bash(program.name(), places)
}

function placesOf(program: Command): Place[] {
  const walk = (command: Command, path: readonly string[]): Place[] => [
    {
      path: path.join(' '),
      words: wordsOf(command.name() === 'help' ? program : command),
      options: command.createHelp().visibleOptions(command),
      takesFiles: command.registeredArguments.some(isFile),
    },
    ...command.commands.flatMap((below) => walk(below, [...path, below.name()])),
  ]
  return walk(program, [])
}

const isFile = (argument: Argument) => /FILE|FOLDER/.test(argument.name())

function wordsOf({ commands, registeredArguments }: Command): Word[] {
  const choices = registeredArguments.flatMap(({ argChoices = [] }) => argChoices)
  return [
    ...commands.map((command) => ({ name: command.name(), about: command.description() })),
    ...choices.map((name) => ({ name, about: '' })),
  ]
}

const flagsOf = ({ long, short }: Option) => [long, short].filter((flag) => flag != null)
const takesValue = ({ required, optional }: Option) => required || optional
const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`

// --- bash

function bash(name: string, places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => (path.includes(' ') ? path : ` ${path}`))
  const values = Map.groupBy(places.flatMap(valuesOf), ({ words }) => words)
  const words = places.map(({ path, words, options }) => {
    const flags = options.flatMap(({ long, short }) => long ?? short ?? []).join(' ')
    return `      ${quoted(path)}) words=${quoted(words.map((word) => word.name).join(' '))} flags=${quoted(flags)} ;;`
  })
  return `# ${name} completion: source <(${name} completion bash)
_${name}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" path='' words='' flags='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      ${paths.map(quoted).join(' | ')}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path:$prev" in
${[...values].map(([words, at]) => `    ${at.map(({ place }) => quoted(place)).join(' | ')}) words=${quoted(words)} ;;`).join('\n')}
    *) case "$path" in
${words.join('\n')}
    esac ;;
  esac
  [[ $cur == -* ]] && words="$flags"
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
# Where no word fits, file names do.
complete -o default -F _${name} ${name}
`
}

/** Where a value is due, and its words where they are known. */
const valuesOf = ({ path, options }: Place) =>
  options
    .filter(takesValue)
    .flatMap((option) =>
      flagsOf(option).map((flag) => ({ place: `${path}:${flag}`, words: (option.argChoices ?? []).join(' ') })),
    )

// --- fish

function fish(name: string, places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words, options, takesFiles }) => {
    const at = `complete -c ${name} -n ${quoted(`__${name}_at ${path}`.trim())}`
    return [
      ...(takesFiles ? [`${at} -F`] : []),
      ...words.map((word) => `${at} -a ${quoted(word.name)}${about(word.about)}`),
      ...options.map((option) => `${at} ${fishOption(option)}${about(option.description)}`),
    ]
  })
  const paths = places.map(({ path }) => path).filter(Boolean)
  return `# ${name} completion: ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __${name}_at
  set -l path
  for word in (commandline -opc)[2..]
    if contains -- (string join -- ' ' $path $word) ${paths.map(quoted).join(' ')}
      set -a path $word
    end
  end
  test "$path" = "$argv"
end
complete -c ${name} -f
${lines.join('\n')}
`
}

const about = (text: string) => (text === '' ? '' : ` -d ${quoted(text)}`)

function fishOption(option: Option): string {
  const { long, short, argChoices = [] } = option
  const flags = [...(long ? [`-l ${long.slice(2)}`] : []), ...(short ? [`-s ${short.slice(1)}`] : [])]
  const value = takesValue(option) ? [`-x${argChoices.length > 0 ? ` -a ${quoted(argChoices.join(' '))}` : ''}`] : []
  return [...flags, ...value].join(' ')
}
