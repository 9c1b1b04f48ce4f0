/** One partition of one consumer group, as `sluice lag`, the console and the metrics show it. Names are public. */
import type { StageName } from '../../streams/topology.ts'

export const lagStates = ['running', 'throttled', 'paused', 'stalled'] as const
/**
 * running: it is worked on, or there is nothing to do. throttled: work goes on as fast as a limit lets it. paused: it was
 * told to wait, or its dependency is away. stalled: it should go on and does not, so somebody has to look.
 */
export type LagState = (typeof lagStates)[number]

export interface LagRow {
  readonly stage: StageName
  readonly group: string
  readonly topic: string
  readonly partition: number
  /** Next offset to process; null: the group has committed nothing here yet. */
  readonly committed: number | null
  /** Offset that the next record will get. */
  readonly end: number
  readonly lag: number
  /** Of the oldest record that is not processed; null: there is none, or its time is not known. */
  readonly oldestAgeMs: number | null
  readonly state: LagState
  /** Why it is in this state; see ops/docs/lag.md for each. */
  readonly reasons: readonly string[]
  /** Until the group's lag is worked off at its rate of the last minute; 0: there is none; null: not known. */
  readonly etaMs: number | null
}

/**
 * What more instances could work on: the lag of partitions that nothing holds on purpose. A partition that an operator
 * has paused counts 0 even when its owner is gone: an instance more would only wait there too. So does one that is halted
 * at a lost offset, or hangs: whoever gets it would stand at the same record.
 */
export const unthrottledLag = (rows: readonly LagRow[]): number =>
  rows.reduce((sum, row) => sum + (isHeld(row) ? 0 : row.lag), 0)

const isHeld = ({ state, reasons }: LagRow) =>
  state === 'paused' ||
  state === 'throttled' ||
  reasons.includes('operator') ||
  (state === 'stalled' && reasons.some(isStuck))
const isStuck = (reason: string) => reason === 'offset-guard' || reason === 'hung'

/** Age of the oldest record that waits anywhere among the rows; 0: none does. */
export const oldestAgeMs = (rows: readonly LagRow[]): number => Math.max(0, ...rows.map((row) => row.oldestAgeMs ?? 0))
