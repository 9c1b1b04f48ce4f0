import { checkUp } from '../doctor/checks.ts'
import type { Finding } from '../doctor/checks.ts'
import { paint, printRows } from './output.ts'
import type { Output } from './output.ts'
import { openServices } from './with-services.ts'

const marks = { ok: ['green', '✓'], warn: ['cyan', '!'], bad: ['red', '✗'] } as const

/** `sluice doctor`: a line a check, as it is done; exit 1 when something is bad. */
export async function doctor(options: Output): Promise<void> {
  const services = openServices(['kafka', 'registry', 'postgres', 'embeddings'])
  let bad = false
  try {
    for await (const finding of checkUp(services)) {
      printRows([finding], options, formatFinding)
      bad ||= finding.state === 'bad'
    }
  } finally {
    await services.close()
  }
  if (bad) process.exitCode = 1
}

function formatFinding({ check, state, detail, hint }: Finding): string {
  const [colour, mark] = marks[state]
  const line = `${paint(colour, mark, process.stdout)} ${check.padEnd(20)} ${detail}`
  return hint ? `${line}\n  ${hint}` : line
}
