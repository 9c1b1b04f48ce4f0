import type { BringUpReport } from '../bring-up.ts'
import { note, paint } from './output.ts'

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

/** A line for each thing that comes up, as it does. */
export function startupReport(): BringUpReport {
  const line = (what: string, detail: string, ms: number) =>
    note(`  ${paint('green', '✓')} ${what.padEnd(11)} ${detail} ${paint('dim', `(${seconds(ms)})`)}`)
  return {
    part: ({ part, state, detail, elapsedMs }) => {
      if (state === 'ready') line(part, detail, elapsedMs)
      else note(`  ${state === 'failed' ? paint('red', '✗') : paint('dim', '…')} ${part.padEnd(11)} ${detail || state}`)
    },
    step: line,
  }
}
