/** What every benchmark here takes and gives: its options, lines for people, and whether its gates hold. */
import { parseArgs } from 'node:util'
import { UserError } from '../../../streams/errors.ts'

export interface BenchIo {
  /** One line of the report. */
  readonly print: (line: string) => void
}

export const stdout: BenchIo = { print: (line) => void process.stdout.write(`${line}\n`) }

/** Whole numbers by option name, `--name=N` or `--name N`. @throws UserError for anything else */
export function readNumbers<Name extends string>(
  args: readonly string[],
  defaults: Readonly<Record<Name, number>>,
): Record<Name, number> {
  const names = Object.keys(defaults) as Name[]
  const known = names.map((name) => `--${name}`).join(', ')
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
    const { values } = parseArgs({ args: [...args], options })
    return Object.fromEntries(
      names.map((name) => [name, values[name] === undefined ? defaults[name] : wholeNumber(String(values[name]))]),
    ) as Record<Name, number>
  } catch (error) {
    throw new UserError((error as Error).message, `The options are ${known}, each a whole number.`, 2)
  }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new RangeError(`not a whole number from 1 up: ${text}`)
  return Number(text)
}

/** One line for a gate. @returns whether it holds */
export function gate({ print }: BenchIo, name: string, holds: boolean, detail: string): boolean {
  print(`${holds ? 'PASS' : 'FAIL'}  ${name}: ${detail}`)
  return holds
}

/** Runs a benchmark whose file was started by itself; exit code 1 when a gate does not hold. */
export async function runAlone(run: (args: readonly string[], io?: BenchIo) => Promise<boolean>): Promise<never> {
  const holds = await run(process.argv.slice(2), stdout).catch((error: unknown) => {
    console.error(error instanceof UserError ? `${error.message}\n${error.hint}` : error)
    return false
  })
  process.exit(holds ? 0 : 1)
}
