import { setTimeout as sleep } from 'node:timers/promises'
import { checkUp } from '../doctor/check-up.ts'
import type { Finding } from '../doctor/finding.ts'
import { paint, printRows } from './output.ts'
import type { Output } from './output.ts'
import { openServices } from './with-services.ts'

const marks = { ok: ['green', '✓'], warn: ['yellow', '!'], bad: ['red', '✗'] } as const
const CLOSE_MS = 1_000

/** `sluice doctor`: a line a check; exit 1 when something is bad. */
export async function doctor(options: Output): Promise<never> {
  const services = openServices(['kafka', 'registry', 'postgres', 'embeddings'])
  const states = new Set<Finding['state']>()
  for await (const finding of checkUp(services)) {
    printRows([finding], options, formatFinding)
    states.add(finding.state)
  }
  await Promise.race([services.close(), sleep(CLOSE_MS)])
  // A client that waits for somebody who is gone would keep the process for as long as its patience lasts.
  await new Promise<void>((flushed) => void process.stdout.write('', () => flushed()))
  process.exit(states.has('bad') ? 1 : 0)
}

function formatFinding({ check, state, detail, hint }: Finding): string {
  const [colour, mark] = marks[state]
  const line = `${paint(colour, mark, process.stdout)} ${check.padEnd(18)} ${detail}`
  return hint ? `${line}\n  → ${hint}` : line
}
