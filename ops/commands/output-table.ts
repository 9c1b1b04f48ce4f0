/** Rows as a table with aligned columns for people, as NDJSON with --json. */
import { stripVTControlCharacters } from 'node:util'
import { paint, printRows, printable } from './output.ts'
import type { Output } from './output.ts'

export type Cell = string | number | bigint | boolean | null | undefined

/**
 * @param show a row's columns by their headings, in order; numbers stand to the right. Default: the row as it is.
 * @param nothing what null and undefined are called, such as `all` or `-`.
 */
export function printTable<Row extends object>(
  rows: readonly Row[],
  output: Output,
  show: (row: Row) => Readonly<Record<string, Cell>> = (row) => row as Record<string, Cell>,
  nothing = '-',
): void {
  if (output.json) return printRows(rows, output, () => '')
  for (const line of tableLines(rows.map(show), nothing)) process.stdout.write(`${line}\n`)
}

export function tableLines(rows: readonly Readonly<Record<string, Cell>>[], nothing = '-'): string[] {
  if (rows.length === 0) return []
  const columns = Object.keys(rows[0]!).map((name) => {
    const cells = rows.map((row) => cellText(row[name] ?? nothing))
    const values = rows.map((row) => row[name]).filter((value) => value != null)
    const isNumber =
      values.length > 0 && values.every((value) => typeof value !== 'string' && typeof value !== 'boolean')
    const width = Math.max(...[name, ...cells].map(widthOf))
    const pad = (text: string) => {
      const fill = ' '.repeat(width - widthOf(text))
      return isNumber ? fill + text : text + fill
    }
    return { heading: pad(name.toUpperCase()), cells: cells.map(pad) }
  })
  const line = (of: (column: (typeof columns)[number]) => string) => columns.map(of).join('  ').trimEnd()
  return [
    paint(
      'bold',
      line(({ heading }) => heading),
      process.stdout,
    ),
    ...rows.map((_, index) => line(({ cells }) => cells[index]!)),
  ]
}

/** Anybody's text stays on its line. */
const cellText = (value: Exclude<Cell, null | undefined>) => printable(String(value)).replace(/\s+/g, ' ')

/** Characters of two columns count as one here: tenants and topics have none. */
const widthOf = (text: string) => [...stripVTControlCharacters(text)].length
