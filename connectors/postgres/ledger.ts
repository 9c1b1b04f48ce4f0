/** The ledger: each stage's next offset per partition, written in the same transaction as the stage's rows. */
import type { Knex } from 'knex'
import { Fenced } from '../../streams/errors.ts'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { Claim, LedgerPosition, TopicPartition } from '../../streams/runtime/ports.ts'

/** Takes the partitions over: from now on writes with an older epoch are refused. */
export async function claimPartitions(
  db: Knex,
  group: string,
  partitions: readonly TopicPartition[],
  owner: string,
): Promise<Map<string, Claim>> {
  const { rows } = await db.raw(
    `insert into stage_offsets (consumer_group, topic, partition, owner)
     select ?, topic, partition, ? from unnest(?::text[], ?::int[]) as p (topic, partition) order by 2, 3
     on conflict (consumer_group, topic, partition)
     do update set epoch = stage_offsets.epoch + 1, owner = excluded.owner, updated_at = now()
     returning topic, partition, epoch, next_offset`,
    [group, owner, partitions.map(({ topic }) => topic), partitions.map(({ partition }) => partition)],
  )
  return new Map(
    (rows as { topic: string; partition: number; epoch: string; next_offset: string | null }[]).map((row) => [
      partitionKey(row),
      { epoch: BigInt(row.epoch), nextOffset: row.next_offset === null ? null : BigInt(row.next_offset) },
    ]),
  )
}

/**
 * Forward only, and never over a gap.
 *
 * @throws Fenced when a partition was claimed by another member since, or its row is behind what was written: Postgres lost
 *   rows under a running stage. The transaction must roll back; claimed anew, the partition goes back to its row.
 */
export async function advanceLedger(
  trx: Knex.Transaction,
  group: string,
  positions: readonly LedgerPosition[],
): Promise<void> {
  if (positions.length === 0) return
  const { rowCount } = await trx.raw(
    // Locked in key order: two transactions of one process that overlap would deadlock otherwise.
    `with p as (
       select s.consumer_group, s.topic, s.partition, given.next_offset from stage_offsets s
       join unnest(?::text[], ?::int[], ?::bigint[], ?::bigint[], ?::bigint[]) as given (topic, partition, epoch, next_offset, known)
         on s.consumer_group = ? and s.topic = given.topic and s.partition = given.partition and s.epoch = given.epoch
            and coalesce(s.next_offset >= given.known, true)
       order by s.topic, s.partition for update of s
     )
     update stage_offsets s set next_offset = greatest(s.next_offset, p.next_offset), updated_at = now()
     from p where s.consumer_group = p.consumer_group and s.topic = p.topic and s.partition = p.partition`,
    [
      positions.map(({ topic }) => topic),
      positions.map(({ partition }) => partition),
      positions.map(({ epoch }) => String(epoch)),
      positions.map(({ nextOffset }) => String(nextOffset)),
      positions.map(({ known }) => String(known)),
      group,
    ],
  )
  if (rowCount !== positions.length)
    throw new Fenced('the ledger carries a newer epoch (another member owns the partition), or lost what was written')
}
