/**
 * The `sluice` command. Results on stdout, progress and logs on stderr; exit 0 done, 1 failed, 2 wrong use, 130 for a
 * Ctrl-C that cut something short. The commands are declared in ops/cli/.
 */
import { Console } from 'node:console'
import { CommanderError } from 'commander'
import { createProgram } from './cli/program.ts'
import { describeError, formatError } from './commands/hints.ts'
import { isDebugging } from './config.ts'

// stdout is for results alone: a library that logs with console.log must not break a consumer's NDJSON.
globalThis.console = new Console(process.stderr)
// `| head` closes the pipe once it has seen enough. Nobody is left to write to; embedded parts end with this process.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
// Whoever read our messages is gone: no reason to stop the work.
process.stderr.on('error', () => {})

try {
  await createProgram().parseAsync()
  process.exitCode ??= 0
} catch (error) {
  process.exitCode = report(error)
}

function report(error: unknown): number {
  // commander has printed its own message by now; --help and --version end with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  console.error(formatError(error))
  if (isDebugging() && error instanceof Error) console.error(error.stack)
  return describeError(error).code
}
