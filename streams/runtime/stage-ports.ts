/** What one running stage is given and gives. */
import type { Kafka } from 'kafkajs'
import type { Dependency } from '../errors.ts'
import type { OutgoingRecord, Stage } from '../outcome.ts'
import type { Gate, Lane } from '../throttle/ports.ts'
import type { StageName, topology } from '../topology.ts'
import type { Tracer } from '../trace.ts'
import type { Assignment } from './assignments.ts'
import type { DependencyWatch } from './dependency-watch.ts'
import type { RunState } from './partition-runs.ts'
import type { PauseReason } from './pause-scheduler.ts'
import type { Clock, Logger, Observer, PositionReader, Produce, Store, TopicPartition } from './ports.ts'
import type { Replay } from './replay.ts'

export interface StageSettings {
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly maxWaitMs: number
  readonly maxBytesPerPartition: number
  readonly recordTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly retryDelaysMs: readonly number[]
  readonly resumeGapMs: number
  readonly writeConcurrency: () => number
}

/** What operators have commanded. */
export interface Orders {
  /** Why, if this partition of the stage (or all of it) is paused by a command. */
  readonly isPaused: (stage: string, partition: number) => boolean
  readonly isTenantPaused: (stage: string, tenantId: string) => boolean
  readonly pausedTenants: (stage: string) => readonly string[]
  readonly onChange: (call: () => void) => () => void
}

export interface StageDependencies<Value, Deps> {
  readonly name: StageName
  readonly stage: Stage<Value, Deps>
  readonly deps: Deps
  /** A client of this member's own. */
  readonly kafka: Kafka
  readonly positions: PositionReader
  readonly produce: Produce
  readonly codec: {
    readonly encode: (topic: OutgoingRecord['topic'], value: object) => Promise<Buffer>
    readonly decode: (topic: (typeof topology)[StageName]['from'], value: Buffer) => Promise<object>
  }
  readonly store: Store
  readonly prefix: string
  readonly settings: StageSettings
  /** Decides which record of which tenant is worked on next, and when. */
  readonly gate: Gate
  readonly lane?: Lane
  /** A bounded part of the stage's topic, in a group of its own. Absent: the live stage. */
  readonly replay?: Replay
  readonly takesOf?: (tenantId: string, cost: number) => Readonly<Record<string, number>> | undefined
  readonly watch: DependencyWatch
  readonly orders: Orders
  /** After every change of what this member owns. */
  readonly onAssigned?: () => void
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: Observer
  readonly tracer?: Tracer
  /** The consumer died and will not come back: the process must end, or it would live on idle. */
  readonly onFatal: (error: Error) => void
}

/** One partition as an operator wants to see it. */
export interface PartitionState extends TopicPartition, RunState {
  /** Those that it waits for, or tries again. */
  readonly dependencies: readonly Dependency[]
  readonly reasons: readonly { readonly reason: PauseReason; readonly sinceMs: number }[]
  /** Next offset to settle, and the end of the log as the last fetch showed it. */
  readonly next: bigint
  readonly end: bigint
  /** Settled above the first record that is not. */
  readonly settledAhead: number
  /** Of its last commit, or of its assignment. */
  readonly committedAtMs: number
}

export interface RunningStage {
  readonly name: StageName
  readonly assignments: () => Assignment[]
  readonly partitions: () => PartitionState[]
  /** The consumer's loop turns, and no record has been under way for far longer than any may take. */
  readonly isAlive: () => boolean
  /** Member of its group and not draining. */
  readonly isReady: () => boolean
  /** Since the broker last answered a heartbeat; undefined: no member of the group. */
  readonly heartbeatAgeMs: () => number | undefined
  /** Milliseconds that partitions were paused, by reason. */
  readonly pausedMs: () => Readonly<Record<PauseReason, number>>
  readonly gate: Gate
  /**
   * A replay: every range is settled and committed, whichever member of the group did it; rejects when a part of one is
   * not in the log any more. It has still to be stopped. A live stage: never.
   */
  readonly finished: Promise<void>
  /** Starts nothing new, finishes and commits what is in flight, leaves the group; true: within the deadline. */
  readonly stop: () => Promise<boolean>
}
