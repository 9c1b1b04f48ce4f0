/** The one place where a consumer's offset moves. */
import type { EachBatchPayload } from 'kafkajs'
import { errorMessage } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import type { Logger } from './ports.ts'

/**
 * Resolve moves the fetch position, commit the group's: always both, always forward. With a ledger, what is committed
 * never passes what Postgres holds: committed ≤ ledger at any moment.
 */
export async function commitProgress(assignment: Assignment, payload: EachBatchPayload, logger: Logger): Promise<void> {
  if (!assignment.alive) return
  const next = assignment.watermark.next()
  if (next > BigInt(payload.batch.firstOffset() ?? -1)) payload.resolveOffset(String(next - 1n))
  const { ledger } = assignment
  const durable = ledger === null || next < ledger ? next : ledger
  if (durable <= assignment.committed) return
  const { topic, partition } = assignment.at
  try {
    // The payload's own commit: consumer.commitOffsets is dropped silently once stop() has begun.
    await payload.commitOffsetsIfNecessary({
      topics: [{ topic, partitions: [{ partition, offset: String(durable) }] }],
    })
    assignment.committed = durable
  } catch (error) {
    logger.debug({ ...assignment.at, error: errorMessage(error) }, 'offset commit failed; the next one covers it')
  }
}
