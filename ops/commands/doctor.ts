import { checkUp } from '../doctor/checks.ts'
import type { Finding } from '../doctor/checks.ts'
import { paint, printRows } from './output.ts'
import type { Output } from './output.ts'
import { withServices } from './with-services.ts'

const marks = { ok: ['green', '✓'], warn: ['cyan', '!'], bad: ['red', '✗'] } as const

/** `sluice doctor`: exit 1 when something is bad. */
export async function doctor(options: Output): Promise<void> {
  const findings = await withServices(['kafka', 'registry', 'postgres', 'embeddings'], checkUp)
  printRows(findings, options, ({ check, state, detail, hint }: Finding) => {
    const [colour, mark] = marks[state]
    const line = `${paint(colour, mark, process.stdout)} ${check.padEnd(22)} ${detail}`
    return hint ? `${line}\n  ${hint}` : line
  })
  if (findings.some(({ state }) => state === 'bad')) process.exitCode = 1
}
