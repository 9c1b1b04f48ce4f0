/** The whole program, declared and not yet run: what parses, prints help, completes and is tested. */
import { styleText } from 'node:util'
import { Command, Option } from 'commander'
import packageFile from '../../package.json' with { type: 'json' }
import { addControlCommands } from './control.ts'
import { addDataCommands } from './data.ts'
import { addDeadLetterCommands } from './dead-letters.ts'
import { createCli } from './define.ts'
import { addHelpCommands } from './help.ts'
import { addOperateCommands } from './operate.ts'
import { addPipelineCommands } from './pipeline.ts'
import { asWrongUse } from './wrong-use.ts'

/** Headings of `sluice --help`, in the order of how soon one needs them. */
export const commandGroups: Readonly<Record<string, readonly string[]>> = {
  'Start here:': ['demo', 'up', 'run', 'crawl', 'search'],
  'Look:': ['doctor', 'lag'],
  'Act:': ['pause', 'resume', 'limit', 'replay', 'dlq'],
  'Data:': ['tenant', 'migrate', 'topics'],
  'Advanced:': ['extract', 'chunk', 'robots', 'bench', 'completion', 'help'],
}

const CLOSING = `
Exit codes: 0 done, 1 failed, 2 wrong use, 130 cut short by Ctrl-C.
Settings come from the environment; a running \`sluice up\` serves for those that are unset.
\`sluice help COMMAND\` has examples of each.
`

export function createProgram(): Command {
  const program = new Command('sluice')
    .description('Web pages of many tenants into searchable knowledge, over Kafka, at a flat load.')
    .version(packageFile.version, '-V, --version', 'the version number')
    .addOption(jsonOption())
    .helpOption('-h, --help', 'what a command does, with examples')
    .helpCommand(false)
    .configureHelp({
      // Arguments and options are in the command's own help; here they would push what it does off the screen.
      subcommandTerm: (command) => command.name(),
      // commander takes the style off again where colours are off.
      styleTitle: (title) => styleText('bold', title, { validateStream: false }),
    })
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', CLOSING)
  const cli = createCli(program)
  addPipelineCommands(cli)
  addOperateCommands(cli)
  addDeadLetterCommands(cli)
  addControlCommands(cli)
  addDataCommands(cli)
  addHelpCommands(cli)
  group(program)
  for (const command of allCommands(program)) {
    command.exitOverride((error) => {
      throw asWrongUse(error, command, program)
    })
    if (command !== program) allowJson(program, command)
  }
  return program
}

/** The program and everything below it, parents first. */
export const allCommands = (command: Command): Command[] => [command, ...command.commands.flatMap(allCommands)]

/** commander shows commands and their headings in the order in which the commands stand in its list. */
function group(program: Command): void {
  const headings = Object.entries(commandGroups)
  const order = headings.flatMap(([, names]) => names)
  ;(program.commands as Command[]).sort((a, b) => order.indexOf(a.name()) - order.indexOf(b.name()))
  for (const [heading, names] of headings)
    for (const command of program.commands) if (names.includes(command.name())) command.helpGroup(heading)
}

const jsonOption = () => new Option('--json', 'results as one JSON object a line on stdout')

/** --json is allowed after a command's name too. */
function allowJson(program: Command, command: Command): void {
  command.addOption(jsonOption()).hook('preAction', (_, action) => {
    if (action.opts<{ json?: boolean }>().json) program.setOptionValue('json', true)
  })
}
