/** Results on stdout: NDJSON with --json, text for people otherwise. Everything else goes to stderr. */
import { styleText } from 'node:util'
import type { WriteStream } from 'node:tty'

export interface Output {
  readonly json: boolean
}

export function printRows(rows: readonly object[], { json }: Output, text: (row: never) => string): void {
  for (const row of rows) process.stdout.write(`${json ? JSON.stringify(row, plain) : printable(text(row as never))}\n`)
}

export const note = (line: string): void => void process.stderr.write(`${printable(line)}\n`)

const plain = (_key: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)

type Style = 'bold' | 'dim' | 'green' | 'red' | 'cyan' | 'yellow'

/** Colours at a terminal, unless NO_COLOR says no; elsewhere only where FORCE_COLOR says yes. */
export const paint = (style: Style, text: string, stream: WriteStream = process.stderr): string =>
  styleText(style, text, { stream })

/**
 * Titles, reasons and tenants are anybody's text, and a terminal obeys what it is sent: of control characters only line
 * ends, tabs and our own styles come through. NDJSON needs no such care: JSON escapes them.
 */
export const printable = (text: string): string =>
  text.replace(/\u001b\[\d{1,2}m|\t|\r?\n|[\u0000-\u001f\u007f-\u009f]/g, (found) =>
    found.length > 1 || found === '\n' || found === '\t' ? found.replace('\r', '') : '\ufffd',
  )
