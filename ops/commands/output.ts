/** Results on stdout: NDJSON with --json, text for people otherwise. Everything else goes to stderr. */
import type { WriteStream } from 'node:tty'

export interface Output {
  readonly json: boolean
}

export function printRows(rows: readonly object[], { json }: Output, text: (row: never) => string): void {
  for (const row of rows) process.stdout.write(`${json ? JSON.stringify(row, plain) : text(row as never)}\n`)
}

export const note = (line: string): void => void process.stderr.write(`${line}\n`)

const plain = (_key: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)

/** Colours only for a person at a terminal who has not said no. */
export function paint(
  code: 'bold' | 'dim' | 'green' | 'red' | 'cyan',
  text: string,
  stream: WriteStream = process.stderr,
): string {
  const codes = { bold: 1, dim: 2, green: 32, red: 31, cyan: 36 }
  if (!stream.isTTY || !stream.hasColors()) return text
  return `\u001b[${codes[code]}m${text}\u001b[0m`
}
