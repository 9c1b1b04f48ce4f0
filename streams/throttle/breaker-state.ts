/**
 * A circuit that the whole fleet shares, as the log of pipeline.control tells it. The order of the log decides and time
 * never does: a record counts when its TERM is above the one before, so of several claims to be the probe, each made
 * with the next term, the first in the log has it and the others change nothing; every reader agrees, whatever its clock.
 * Time only decides when somebody writes the next record.
 */
import type { PipelineControl } from '../../schemas/generated/types.ts'

export type BreakerKind = 'closed' | 'open' | 'half-open'

export interface BreakerRecord {
  readonly kind: BreakerKind
  readonly term: number
  /** Who wrote it; half-open: who holds the probe. */
  readonly instance: string
  /** open: no probe before this long; half-open: the probe is given up after it. */
  readonly durationMs: number
  /** Probes that failed in a row; kept when the circuit closes, so that one that opens again at once waits longer. */
  readonly failures: number
  /** Who opened the circuit, when and why: each record tells all of it, as compaction keeps only the last. */
  readonly openedBy: string
  readonly openedMs: number
  readonly reason: string
}

export interface BreakerState extends BreakerRecord {
  /** From when `durationMs` counts, by this reader's own clock. */
  readonly fromMs: number
  /** Whose record, changing nothing, stands last in the log: compaction would keep that one. null: the last one counts. */
  readonly refused: string | null
}

export interface Receipt {
  readonly nowMs: number
  /** When it was written, by the writer's clock. */
  readonly timestampMs: number
  /** false: it was in the log before this reader came. */
  readonly live: boolean
}

export const closedFromStart: BreakerState = {
  ...{ kind: 'closed', term: 0, instance: '', durationMs: 0, failures: 0 },
  ...{ openedBy: '', openedMs: 0, reason: '', fromMs: 0, refused: null },
}

export const untilMs = ({ fromMs, durationMs }: BreakerState) => fromMs + durationMs

export function reduceBreaker(state: BreakerState, record: BreakerRecord, receipt: Receipt): BreakerState {
  if (record.term > state.term || isGivenBack(record, state))
    return { ...record, fromMs: countsFrom(record, receipt), refused: null }
  // Whoever was refused writes the record that counts once more, so that it is the last.
  return { ...state, refused: isSame(record, state) ? null : record.instance }
}

/** Whoever ends before it has seen its claim in the log cannot know whether it has it: it gives back just that one. */
const isGivenBack = (record: BreakerRecord, state: BreakerState) =>
  record.kind === 'open' &&
  state.kind === 'half-open' &&
  record.term === state.term &&
  record.instance === state.instance

/**
 * Live: from now, so that no clock but our own matters. In the past: from when it was written, or a wait of hours would
 * begin anew with each restart; never longer than the whole. A claim counts from now in any case: if a clock that is
 * wrong let a newcomer take it for dead, two would probe.
 */
function countsFrom({ kind, durationMs }: BreakerRecord, { nowMs, timestampMs, live }: Receipt): number {
  if (live || kind === 'half-open') return nowMs
  return Math.min(nowMs, kind === 'open' ? Math.max(timestampMs, nowMs - durationMs) : timestampMs)
}

const isSame = (a: BreakerRecord, b: BreakerRecord) =>
  a.term === b.term && a.kind === b.kind && a.instance === b.instance

const kinds = { NONE: undefined, CLOSED: 'closed', OPEN: 'open', HALF_OPEN: 'half-open' } as const
const phases = { closed: 'CLOSED', open: 'OPEN', 'half-open': 'HALF_OPEN' } as const

/** undefined: not a breaker's record, or one of a kind that this version does not know. */
export function readBreaker(value: PipelineControl): BreakerRecord | undefined {
  const kind = kinds[value.breaker_state]
  if (!kind || !(value.term > 0n) || !(value.duration_ms >= 0n)) return undefined
  return {
    kind,
    term: Number(value.term),
    instance: value.instance,
    durationMs: Number(value.duration_ms),
    failures: Math.max(0, value.failures),
    openedBy: value.issued_by,
    openedMs: Number(value.issued_at / 1000n),
    reason: value.reason,
  }
}

/** What differs from a record that says nothing. */
export const writeBreaker = (dependency: string, record: BreakerRecord): Partial<PipelineControl> => ({
  command: 'BREAKER',
  dependency,
  breaker_state: phases[record.kind],
  term: BigInt(record.term),
  instance: record.instance,
  duration_ms: BigInt(Math.ceil(record.durationMs)),
  failures: record.failures,
  issued_by: record.openedBy,
  issued_at: BigInt(Math.floor(record.openedMs)) * 1000n,
  reason: record.reason,
})
