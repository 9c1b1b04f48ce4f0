/** A replay's progress for people, every couple of seconds. */
import { createRateMeter } from '../rate-meter.ts'
import type { Progress } from './run.ts'
import { describeMs } from './state.ts'

const EVERY_MS = 2_000

export function createProgress(id: string, say: (line: string) => void) {
  const meter = createRateMeter({ now: Date.now })
  let before: bigint | undefined
  let saidMs = Date.now()
  return ({ doneOffsets, totalOffsets, reasons }: Progress) => {
    meter.add(Number(doneOffsets - (before ?? doneOffsets)))
    before = doneOffsets
    if (Date.now() - saidMs < EVERY_MS) return
    saidMs = Date.now()
    const perSecond = meter.perSecond()
    const eta = perSecond > 0 ? `, ${describeMs((Number(totalOffsets - doneOffsets) / perSecond) * 1_000)} left` : ''
    const waits = reasons.length > 0 ? `; waits: ${reasons.join(', ')}` : ''
    say(`replay ${id}: ${doneOffsets} of ${totalOffsets} offsets, ${perSecond.toFixed(1)}/s${eta}${waits}`)
  }
}
