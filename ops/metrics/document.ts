/** `node ops/metrics/document.ts`: writes the table of ops/docs/metrics.md anew, from what the code exports. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMetrics } from '../metrics.ts'
import type { Family } from './families.ts'

export const documentPath = join(import.meta.dirname, '..', 'docs', 'metrics.md')

const START = '<!-- table: node ops/metrics/document.ts -->'
const END = '<!-- end of table -->'

/** @throws Error when the marks that enclose the table are gone. */
export function withTable(document: string, families: readonly Family[]): string {
  const [start, end] = [document.indexOf(START), document.indexOf(END)]
  if (start < 0 || end < start) throw new Error(`${documentPath} has lost the marks around its table`)
  return `${document.slice(0, start + START.length)}\n\n${tableOf(families)}\n\n${document.slice(end)}`
}

function tableOf(families: readonly Family[]): string {
  const rows = [...families]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, labels, unit, help }) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(', '),
      unit,
      help,
    ])
  const all = [['metric', 'type', 'labels', 'unit', 'meaning'], ...rows]
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  return [line(all[0]!), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
}

if (import.meta.main)
  writeFileSync(documentPath, withTable(readFileSync(documentPath, 'utf8'), createMetrics().families()))
