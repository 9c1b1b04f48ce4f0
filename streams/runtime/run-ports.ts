/** What the work on one partition is given and gives. */
import type { Outcome, Stage } from '../outcome.ts'
import type { Gate, Lane } from '../throttle/ports.ts'
import type { Assignment } from './assignments.ts'
import type { OutcomesInHand } from './in-hand.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Clock } from './ports.ts'
import type { Replay } from './replay.ts'
import type { RawRecord } from './settle.ts'
import type { WaitFor } from './starts.ts'
import type { WindowSpace } from './window.ts'

export interface PartitionRun {
  /**
   * Records of a fetched batch, in order of their offsets. `endsAt`: the offset behind the batch, with the control
   * records behind its last record, which never reach a consumer and would look like lag for ever.
   */
  readonly accept: (records: readonly RawRecord[], endsAt: bigint) => void
  /** What held work up is gone: look again. */
  readonly kick: () => void
  /** Resolves when nothing is under way any more; new work starts only if the partition may work. */
  readonly idle: () => Promise<void>
  readonly inFlight: () => number
  /** Longest that a record under way has been worked on, without the time that it stood at gates behind the stage. */
  readonly longestWorkMs: () => number
  /** Timestamp of the oldest record that is not settled; undefined: there is none. */
  readonly oldestRecordMs: () => number | undefined
  /** When a record was settled last, or the first came to an empty window. */
  readonly movedMs: () => number
  /** What records of it wait for before they are begun, each reason once. */
  readonly waits: () => WaitFor[]
  /** The partition was lost: what waits is dropped, what is under way settles nothing. */
  readonly close: () => void
}

export interface RunDependencies<Value extends { tenant_id: string }, Deps> {
  readonly name: string
  readonly stage: Stage<Value, Deps>
  readonly deps: Deps
  readonly decode: (value: Buffer) => Promise<Value>
  readonly scheduler: PauseScheduler
  readonly gate: Gate
  /** Settles one record; false: the partition cannot go on now, and the record comes again. */
  readonly settled: (raw: RawRecord, work: () => Promise<Outcome>) => Promise<boolean>
  /** By a command of an operator. */
  readonly tenantPaused: (tenantId: string) => boolean
  readonly draining: () => boolean
  readonly lane: Lane
  /** A replay's: what it does not want counts as done. */
  readonly accepts?: Replay['accepts']
  readonly inHand: OutcomesInHand
  readonly space: WindowSpace
  readonly onSettled: (assignment: Assignment) => void
  readonly clock: Clock
  readonly recordTimeoutMs: number
  /** Due times are the word of whoever wrote the record, by a clock of its own: none is waited for longer than this. */
  readonly maxRetryDelayMs: number
  /** What a tenant's own limits count beside records; undefined: nothing. */
  readonly takesOf?: (tenantId: string, cost: number) => Readonly<Record<string, number>> | undefined
}
