/**
 * The handler of one fetched batch: checks that it joins on to what was taken before, and hands its records to their
 * partition's run. It never waits for work: kafkajs fetches again only once the handlers of ALL batches of a fetch have
 * returned, so a handler that works holds up every other partition.
 */
import type { EachBatchPayload } from 'kafkajs'
import type { Assignment, Assignments } from './assignments.ts'
import type { Committer } from './commit.ts'
import { createContiguityCheck } from './contiguity.ts'
import type { PartitionRun } from './partition-run.ts'
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

/** @returns the handler of one batch; it throws nothing but what asks kafkajs to rejoin. */
export function createIntake(d: Dependencies) {
  const isContiguous = createContiguityCheck(d)

  return async (payload: EachBatchPayload): Promise<void> => {
    const rejoin = d.committer.asksToRejoin()
    if (rejoin !== undefined) throw rejoin as Error
    const assignment = d.assignments.get(payload.batch)
    // An outside pause does not stop batches that were fetched already, so the gate stands here too. What is left here
    // was not resolved, so it is fetched again.
    if (!assignment?.ready || d.scheduler.isPaused(assignment.at) || d.draining() || payload.isStale()) return
    if (!(await isContiguous(assignment, payload)) || !assignment.alive) return
    take(assignment, payload)
  }

  function take(assignment: Assignment, payload: EachBatchPayload) {
    const { batch } = payload
    const from = assignment.position
    const fresh = batch.messages.filter(({ offset }) => BigInt(offset) >= from)
    assignment.position = BigInt(batch.lastOffset()) + 1n
    assignment.end = BigInt(batch.highWatermark)
    d.committer.fetched(assignment, payload)
    d.runOf(assignment).accept(
      fresh.map((message) => toRawRecord(assignment, message)),
      assignment.position,
    )
  }
}
