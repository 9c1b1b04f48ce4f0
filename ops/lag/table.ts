/** Lag for people: the age of the oldest record first, then how long the rest will take, then offsets. */
import type { Cell } from '../commands/output-table.ts'
import { paint } from '../commands/output.ts'
import { stageNames } from '../../streams/topology.ts'
import { lagStates, oldestAgeMs } from './rows.ts'
import type { LagRow, LagState } from './rows.ts'

/** What has waited longest stands on top; partitions without lag keep their order below. */
export const byAge = (rows: readonly LagRow[]): LagRow[] =>
  [...rows].sort((a, b) => (b.oldestAgeMs ?? sizeOf(b)) - (a.oldestAgeMs ?? sizeOf(a)))
/** Of unknown age: above those without lag. */
const sizeOf = ({ lag }: LagRow) => (lag > 0 ? 0 : -1)

export const columns = (row: LagRow): Record<string, Cell> => ({
  oldest: row.oldestAgeMs === null ? null : duration(row.oldestAgeMs),
  eta: row.lag === 0 || row.etaMs === null ? null : duration(row.etaMs),
  lag: row.lag,
  committed: row.committed,
  end: row.end,
  state: colour(row.state),
  group: row.group,
  topic: row.topic,
  partition: row.partition,
  reasons: row.reasons.join(', '),
})

/** One line a stage. */
export const summaries = (rows: readonly LagRow[]): string[] =>
  stageNames.map((stage) => {
    const mine = rows.filter((row) => row.stage === stage)
    const behind = mine.filter(({ lag }) => lag > 0)
    const held = lagStates.flatMap((state) => countOf(mine, state))
    if (behind.length === 0) return [`${stage}: nothing to do`, ...held].join('; ')
    const lag = behind.reduce((sum, row) => sum + row.lag, 0)
    const etaMs = behind.some((row) => row.etaMs === null) ? null : Math.max(...behind.map((row) => row.etaMs!))
    const eta = etaMs === null ? 'no end in sight' : `done in ${duration(etaMs)}`
    const oldest = behind.every((row) => row.oldestAgeMs === null) ? 'unknown' : duration(oldestAgeMs(behind))
    return [`${stage}: oldest ${oldest}, ${eta}, ${lag} to do`, ...held].join('; ')
  })

/** Running needs no word. */
function countOf(rows: readonly LagRow[], state: LagState): string[] {
  const those = rows.filter((row) => row.state === state)
  if (state === 'running' || those.length === 0) return []
  const reasons = [...new Set(those.flatMap((row) => row.reasons))]
  return [`${those.length} ${colour(state)}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`]
}

function colour(state: LagState): string {
  if (state === 'stalled') return paint('red', state, process.stdout)
  return state === 'running' ? state : paint('yellow', state, process.stdout)
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** Two figures are enough to decide by: 850 ms, 4.2 s, 12 min, 3.5 h. */
export function duration(ms: number): string {
  for (const [unit, size] of units)
    if (ms >= size) return `${ms / size < 9.95 ? Number((ms / size).toFixed(1)) : Math.round(ms / size)} ${unit}`
  return `${Math.round(ms)} ms`
}
