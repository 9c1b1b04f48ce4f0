/** Moving a live group's ledger by hand, for a reset that an operator asks for. */
import type { Knex } from 'knex'
import type { TopicPartition } from '../../streams/runtime/ports.ts'

export interface LedgerTarget extends TopicPartition {
  readonly next: bigint
}

/** By `topic/partition`; partitions that were never claimed, or never written, are absent. */
export async function readLedger(db: Knex, group: string): Promise<Map<string, bigint>> {
  const rows: { topic: string; partition: number; next_offset: string }[] = await db('stage_offsets')
    .where({ consumer_group: group })
    .whereNotNull('next_offset')
    .select('topic', 'partition', 'next_offset')
  return new Map(rows.map((row) => [`${row.topic}/${row.partition}`, BigInt(row.next_offset)]))
}

/**
 * Back or forward. The epoch grows, so that a member that was only cut off from Kafka, and still writes, is refused
 * instead of moving the ledger once more.
 */
export async function setLedger(db: Knex, group: string, targets: readonly LedgerTarget[]): Promise<void> {
  if (targets.length === 0) return
  await db.raw(
    `insert into stage_offsets (consumer_group, topic, partition, next_offset, owner)
     select ?, topic, partition, next_offset, 'reset'
     from unnest(?::text[], ?::int[], ?::bigint[]) as t (topic, partition, next_offset) order by 2, 3
     on conflict (consumer_group, topic, partition) do update
     set next_offset = excluded.next_offset, epoch = stage_offsets.epoch + 1, owner = excluded.owner, updated_at = now()`,
    [
      group,
      targets.map(({ topic }) => topic),
      targets.map(({ partition }) => partition),
      targets.map(({ next }) => String(next)),
    ],
  )
}
