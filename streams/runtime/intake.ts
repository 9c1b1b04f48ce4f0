/**
 * The handler of one fetched batch: checks that it joins on to what was taken before, and hands its records to their
 * partition's run. It never waits for work: kafkajs fetches again only once the handlers of ALL batches of a fetch have
 * returned, so a handler that works holds up every other partition.
 */
import type { EachBatchPayload, IBatchProcessEvent } from 'kafkajs'
import type { Assignment, Assignments } from './assignments.ts'
import type { Committer } from './commit.ts'
import { createContiguityCheck } from './contiguity.ts'
import type { PartitionRun } from './run-ports.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Logger } from './ports.ts'
import { toRawRecord } from './record.ts'

interface Dependencies {
  readonly assignments: Assignments
  readonly runOf: (assignment: Assignment) => PartitionRun
  readonly scheduler: PauseScheduler
  readonly committer: Committer
  /** First offset that the log holds, and the one that its next record will get. */
  readonly logBounds: (assignment: Assignment) => Promise<{ readonly low: bigint; readonly high: bigint }>
  readonly draining: () => boolean
  readonly logger: Logger
}

export interface Intake {
  /** Throws nothing but what asks kafkajs to rejoin. */
  readonly batch: (payload: EachBatchPayload) => Promise<void>
  /**
   * kafkajs passed a batch without records (control records, compacted ones) that no handler saw: at the end of the log
   * it would look like lag for ever, and at the end of a replay's range be waited for.
   */
  readonly passed: (batch: Passed) => void
}

/** What kafkajs tells at the end of a batch; both offsets are null for an empty answer, whatever its types say. */
type Passed = Pick<IBatchProcessEvent, 'topic' | 'partition' | 'batchSize' | 'highWatermark'> & {
  readonly firstOffset: string | null
  readonly lastOffset: string | null
}

export function createIntake(d: Dependencies): Intake {
  const isContiguous = createContiguityCheck(d)

  function take(assignment: Assignment, batch: EachBatchPayload['batch']) {
    const from = assignment.position
    moveTo(assignment, BigInt(batch.lastOffset()) + 1n, batch.highWatermark)
    const fresh = batch.messages.filter(({ offset }) => {
      const at = BigInt(offset)
      return at >= from && at < assignment.position
    })
    d.runOf(assignment).accept(
      fresh.map((message) => toRawRecord(assignment, message)),
      assignment.position,
    )
  }
  /** Forward only: a batch that was fetched earlier, and is shorter, may be handed in later. Not beyond a replay's end. */
  function moveTo(assignment: Assignment, offset: bigint, highWatermark: string) {
    const { until } = assignment
    const to = until !== null && offset > until ? until : offset
    if (to > assignment.position) assignment.position = to
    assignment.end = BigInt(highWatermark)
    if (assignment.position === until) d.scheduler.pause(assignment.at, 'range-end')
  }
  return {
    batch: async (payload) => {
      const rejoin = d.committer.asksToRejoin()
      if (rejoin !== undefined) throw rejoin as Error
      const assignment = d.assignments.get(payload.batch)
      // An outside pause does not stop batches that were fetched already, so the gate stands here too. What is left here
      // was not resolved, so it is fetched again.
      if (!assignment?.ready || d.scheduler.isPaused(assignment.at) || d.draining() || payload.isStale()) return
      if (!(await isContiguous(assignment, payload)) || !assignment.alive) return
      d.committer.fetched(assignment, payload)
      take(assignment, payload.batch)
    },
    passed: ({ topic, partition, batchSize, firstOffset, lastOffset, highWatermark }) => {
      if (batchSize > 0 || lastOffset === null) return
      const assignment = d.assignments.get({ topic, partition })
      if (!assignment?.ready || BigInt(firstOffset ?? lastOffset) > assignment.position) return
      if (BigInt(lastOffset) < assignment.position) return
      moveTo(assignment, BigInt(lastOffset) + 1n, highWatermark)
      d.runOf(assignment).accept([], assignment.position)
    },
  }
}
