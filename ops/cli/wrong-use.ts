/** What commander refuses, in the words of every other error: what is wrong, then what to do. */
import type { Command, CommanderError } from 'commander'
import { UserError } from '../../streams/errors.ts'
import { didYouMean } from '../commands/hints-words.ts'

/** Help and version, which commander has printed by now, go on as they are. */
export function asWrongUse(error: CommanderError, command: Command, program: Command): CommanderError | UserError {
  if (error.code === 'commander.help' || error.exitCode === 0) return error
  const { message, advice } = inTwo(error.message)
  const meant = advice || misspeltOption(error, command, program)
  const hint = `\`${pathOf(command)} --help\` shows what there is.`
  return new UserError(message, meant ? `${meant} ${hint}` : hint, 2)
}

/** `sluice tenant limit` */
export const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()

/** A required option that is misspelt is missing, and commander tells of that first. */
function misspeltOption({ code }: CommanderError, command: Command, program: Command): string {
  if (code !== 'commander.missingMandatoryOptionValue') return ''
  const flags = command.options.flatMap(({ long }) => long ?? [])
  const given = (program as Command & { rawArgs: string[] }).rawArgs
    .filter((word) => word.startsWith('--'))
    .map((word) => word.split('=')[0]!)
  const unknown = given.find((word) => !flags.includes(word))
  return unknown === undefined ? '' : didYouMean(unknown, flags).trim()
}

/**
 * commander's messages come in three shapes: "error: unknown command 'x'\\n(Did you mean y?)", "error: command-argument
 * value 'x' is invalid for argument 'STAGE'. It must be …", and "error: option '-k <n>' argument '0' is invalid. It must …".
 */
function inTwo(text: string): { message: string; advice: string } {
  const plain = text
    .replace(/^error: /, '')
    .replace(/^command-argument value '(.*)' is invalid for argument '([^']+)'\. /s, "'$1' is no $2\n")
    .replace(/^(option '.*' argument '.*' is invalid)\. /s, '$1\n')
  const [message = '', ...advice] = plain.split('\n')
  return { message, advice: advice.join(' ').replace(/^\(|\)$/g, '') }
}
