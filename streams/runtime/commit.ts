/** The one place where a consumer's offset moves. */
import type { EachBatchPayload } from 'kafkajs'
import type { Assignment } from './assignments.ts'

/**
 * Commit moves the group's offset, resolve the fetch position: always both, always forward. With a ledger, what is
 * committed never passes what Postgres holds: committed ≤ ledger at any moment. The fetch position never passes what is
 * committed, so a commit that failed is made up for even if no record follows: the same records are fetched again, the
 * watermark skips them, and the commit is tried again.
 * @returns the error of a commit that failed
 */
export async function commitProgress(assignment: Assignment, payload: EachBatchPayload): Promise<unknown> {
  if (!assignment.alive) return undefined
  try {
    const offset = durable(assignment)
    if (offset > assignment.committed) await commit(assignment, payload, offset)
    // Checked again: the partition may have been lost during the commit, and kafkajs throws for a topic not assigned.
    if (assignment.alive && assignment.committed > BigInt(payload.batch.firstOffset() ?? -1))
      payload.resolveOffset(String(assignment.committed - 1n))
    return undefined
  } catch (error) {
    return error
  }
}

function durable({ watermark, ledger }: Assignment): bigint {
  const next = watermark.next()
  return ledger === null || next < ledger ? next : ledger
}

async function commit(assignment: Assignment, payload: EachBatchPayload, offset: bigint): Promise<void> {
  const { topic, partition } = assignment.at
  // The payload's own commit: consumer.commitOffsets is dropped silently once stop() has begun.
  await payload.commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset: String(offset) }] }] })
  assignment.committed = offset
}

/** kafkajs jumped to another offset and committed that: our position goes back, so that the next owner halts as well. */
export async function recommit(assignment: Assignment, payload: EachBatchPayload): Promise<void> {
  if (assignment.alive) await commit(assignment, payload, durable(assignment))
}

/** What tells kafkajs to join again must reach it: swallowed, the slice would go on in a generation that has ended. */
export const asksToRejoin = (error: unknown): boolean =>
  ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'NOT_COORDINATOR_FOR_GROUP', 'UNKNOWN_MEMBER_ID'].includes(
    String((error as { type?: unknown } | null)?.type),
  )
