/** Commands about the commands: help and completion. */
import { UserError } from '../../streams/errors.ts'
import { didYouMean } from '../commands/hints-words.ts'
import { oneOf } from './define.ts'
import type { Cli } from './define.ts'
import { pathOf } from './wrong-use.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

export function addHelpCommands({ program, command }: Cli): void {
  command('completion', 'prints a script that completes commands, options and stages in your shell', [
    'source <(sluice completion bash)',
    'sluice completion fish > ~/.config/fish/completions/sluice.fish',
  ])
    .addArgument(oneOf('<SHELL>', 'whose', shells))
    .action(async (shell: (typeof shells)[number]) =>
      (await import('../commands/completion.ts')).completion(program, shell),
    )

  command('help', 'what a command does, with examples', ['sluice help crawl', 'sluice help tenant limit'])
    .argument('[COMMAND...]', 'a command, and one of its own')
    .action((names: string[]) => {
      let shown = program
      for (const name of names) {
        const next = shown.commands.find((one) => one.name() === name)
        if (!next)
          throw unknown(
            name,
            shown === program ? 'sluice' : pathOf(shown),
            shown.commands.map((one) => one.name()),
          )
        shown = next
      }
      shown.outputHelp()
    })
}

function unknown(name: string, parent: string, names: string[]): UserError {
  if (names.length === 0)
    return new UserError(`${parent} has no commands of its own`, `\`${parent} --help\` shows what it takes.`, 2)
  return new UserError(
    `${parent} has no command '${name}'`,
    `${didYouMean(name, names)}There are ${names.join(', ')}.`,
    2,
  )
}
