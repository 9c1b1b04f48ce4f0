/** Guards against offsets that are skipped: what a fetch returns must join on to what was taken before. */
import type { EachBatchPayload } from 'kafkajs'
import { errorMessage } from '../errors.ts'
import type { Assignment, Assignments } from './assignments.ts'
import type { Committer } from './commit.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Logger } from './ports.ts'

interface Dependencies {
  readonly assignments: Assignments
  readonly scheduler: PauseScheduler
  readonly committer: Committer
  /** First offset that the log holds, and the one that its next record will get. */
  readonly logBounds: (assignment: Assignment) => Promise<{ readonly low: bigint; readonly high: bigint }>
  readonly logger: Logger
}

/** After a failed check the same records are fetched again: not in a tight loop. */
const BREATHER_MS = 1_000

/**
 * kafkajs answers a position outside the log with a jump to the log's first record, and commits that. Forward, over
 * records that expired unread, it is a loss, unless the log still holds them: then they are control records. Backward,
 * the log is another one (a topic created anew), and its first records would be skipped as known.
 */
export function createContiguityCheck(d: Dependencies) {
  return async (assignment: Assignment, payload: EachBatchPayload): Promise<boolean> => {
    const { batch } = payload
    const expected = assignment.position
    if (BigInt(batch.firstOffset() ?? -1) <= expected && BigInt(batch.highWatermark) >= expected) return true
    try {
      // The batch's own high watermark may be that of a replica which lags: the leader's word counts.
      const { low, high } = await d.logBounds(assignment)
      if (low <= expected && expected <= high) return true
      if (!assignment.alive) return false
      d.assignments.halt(assignment, low > expected ? 'expired_unread' : 'beyond_end', { expected, low, high })
      d.committer.recommit(assignment, payload)
    } catch (error) {
      d.scheduler.pause(assignment.at, 'offset-guard', BREATHER_MS)
      d.logger.warn({ ...assignment.at, error: errorMessage(error) }, 'could not check or hold a gap in the offsets')
    }
    return false
  }
}
