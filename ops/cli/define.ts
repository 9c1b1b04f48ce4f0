/** How a command is declared: what it does, examples of it, what it takes. Modules are loaded when a command runs. */
import { Argument, InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { didYouMean } from '../commands/hints-words.ts'

/** What the files of commands get: they declare on it, and hand `json()` on to what runs. */
export interface Cli {
  readonly program: Command
  /** A command of the program. Every one has an example at least; each must parse. */
  readonly command: (usage: string, description: string, examples?: readonly string[]) => Command
  /** Likewise, below another: `sluice migrate up`. */
  readonly subcommand: (parent: Command, usage: string, description: string, examples?: readonly string[]) => Command
  /** Whether results are wanted as NDJSON; known once the command line is parsed. */
  readonly json: () => boolean
}

const examples = new WeakMap<Command, readonly string[]>()
export const examplesOf = (command: Command): readonly string[] => examples.get(command) ?? []

export function createCli(program: Command): Cli {
  const subcommand: Cli['subcommand'] = (parent, usage, description, lines = []) => {
    const made = parent.command(usage).description(description)
    examples.set(made, lines)
    if (lines.length > 0) made.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}\n`)
    return made
  }
  return {
    program,
    subcommand,
    command: (...declared) => subcommand(program, ...declared),
    json: () => program.opts<{ json?: boolean }>().json ?? false,
  }
}

/** For options that are whole numbers from `least` up. */
export const count = (least: number) => (text: string) => {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`It must be a whole number from ${least} up.`)
  return value
}

/**
 * For arguments that are one of some words, or with `<X...>` several of them: they are listed in the help and completed
 * by the shell, and a word that is none of them is answered with the nearest.
 */
export function oneOf(usage: string, description: string, words: readonly string[]): Argument {
  const argument = new Argument(usage, description).choices(words)
  return argument.argParser((word: string, before: unknown) => {
    const known = mustBeOneOf(word, words)
    return argument.variadic ? [...(Array.isArray(before) ? (before as string[]) : []), known] : known
  })
}

/** Likewise, for the value of an option: `--kind <KIND>`. */
export const optionOneOf = (flags: string, description: string, words: readonly string[]): Option =>
  new Option(flags, description).choices(words).argParser((word: string) => mustBeOneOf(word, words))

function mustBeOneOf(word: string, words: readonly string[]): string {
  if (words.includes(word)) return word
  throw new InvalidArgumentError(`${didYouMean(word, words)}There are ${words.join(', ')}.`)
}
