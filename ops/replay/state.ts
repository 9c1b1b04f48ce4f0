/** Replays as people see them. */
import type { ReplayRow, ReplayStatus } from '../../connectors/postgres/replays.ts'
import type { ReplayFigures } from './figures.ts'
import { STALE_MS, totalOffsets } from './run.ts'

export interface ReplayState extends ReplayFigures {
  readonly id: string
  readonly stage: string
  /** interrupted: nobody works on it; it can be resumed. */
  readonly status: ReplayStatus | 'interrupted'
  readonly from: string
  readonly to: string
  readonly partition: number | null
  readonly tenant: string | null
  readonly doneOffsets: number
  readonly totalOffsets: number
  /** At its pace so far; null: not known, or over. */
  readonly etaMs: number | null
  /** Records that went to the retry topic or the dead letters. */
  readonly failed: number
  readonly error: string | null
  readonly createdAt: string
  readonly endedAt: string | null
}

export const isInterrupted = ({ status, heartbeatAgeMs }: ReplayRow): boolean =>
  status === 'running' && heartbeatAgeMs > STALE_MS

export function stateOf(row: ReplayRow, nowMs = Date.now()): ReplayState {
  const { id, stage, wish, partitions, figures, failed, error, createdAt, endedAt } = row
  const total = totalOffsets(partitions)
  const done = partitions.reduce((sum, { from, to, next }) => sum + (next < to ? next : to) - from, 0n)
  const status = isInterrupted(row) ? 'interrupted' : row.status
  const perMs = Number(done) / Math.max(1, nowMs - createdAt.getTime())
  const { from, to, partition, tenant } = wish
  return {
    ...{ id, stage, status, from, to, partition, tenant, ...figures, failed, error },
    ...{ doneOffsets: Number(done), totalOffsets: Number(total) },
    etaMs: status === 'running' && perMs > 0 ? Math.round(Number(total - done) / perMs) : null,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  }
}

export function describeState(state: ReplayState): string {
  const { id, stage, status, from, to, partition, tenant, doneOffsets, totalOffsets, etaMs, failed, error } = state
  const narrowed = [partition !== null && `partition ${partition}`, tenant !== null && `tenant ${tenant}`]
  const lines = [
    [`${id}  ${stage}  ${status}`, `${from} to ${to}`, ...narrowed].filter(Boolean).join('  '),
    `  ${doneOffsets} of ${totalOffsets} offsets${etaMs === null ? '' : `, ${describeMs(etaMs)} left`}; ${describeChange(state)}`,
    ...(failed > 0 ? [`  ${failed} records failed`] : []),
    ...(error ? [`  ${error}`] : []),
    ...(status === 'interrupted' ? [`  go on with: sluice replay resume ${id}`] : []),
  ]
  return lines.join('\n')
}

const describeChange = ({ pagesChanged, embeddingTokens }: ReplayFigures) =>
  `${pagesChanged} pages changed, ${embeddingTokens} tokens`

export function describeMs(ms: number): string {
  if (ms < 60_000) return `about ${Math.max(1, Math.round(ms / 1_000))} s`
  if (ms < 5_400_000) return `about ${Math.round(ms / 60_000)} min`
  return `about ${(ms / 3_600_000).toFixed(1)} h`
}
