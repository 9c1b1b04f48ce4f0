/** The table of replays: one row each, one a partition, and the figures, which move with the rows that they count. */
import type { Knex } from 'knex'
import type { LedgerPosition } from '../../streams/runtime/ports.ts'
import type { WriteResult } from '../../streams/writes.ts'
import { readReplays } from './replay-rows.ts'
import type { ReplayRow, ReplayStatus, ReplayWish } from './replay-rows.ts'

export type { ReplayRow, ReplayStatus, ReplayWish }

interface NewReplay extends Pick<ReplayRow, 'id' | 'stage' | 'group' | 'wish' | 'owner'> {
  readonly ranges: ReadonlyMap<number, { readonly from: bigint; readonly to: bigint }>
  /** Another process is to take it over at once. */
  readonly handedOver: boolean
}

/** Since the last beat. */
export interface ReplayBeat {
  readonly embeddingInputs: number
  readonly embeddingTokens: number
  readonly failed: number
  /** Of a stage without a ledger; with one they move in its transactions. */
  readonly partitions: readonly { readonly partition: number; readonly next: bigint; readonly records: number }[]
}

export type Replays = ReturnType<typeof createReplays>

export function createReplays(db: Knex) {
  return {
    /** @returns false: an equal one is running or was interrupted. */
    create: ({ id, stage, group, wish, owner, ranges, handedOver }: NewReplay): Promise<boolean> =>
      db.transaction(async (trx) => {
        const row = { id, stage, consumer_group: group, wish: JSON.stringify(wish), tenant_id: wish.tenant, owner }
        const heart = handedOver ? { heartbeat_at: trx.raw(`'epoch'`) } : {}
        const made = await trx('replays')
          .insert({ ...row, ...heart })
          .onConflict()
          .ignore()
          .returning('id')
        if (made.length === 0) return false
        const partitions = [...ranges].map(([partition, { from, to }]) => ({
          ...{ replay_id: id, partition, next_offset: String(from) },
          ...{ from_offset: String(from), to_offset: String(to) },
        }))
        if (partitions.length > 0) await trx('replay_partitions').insert(partitions)
        return true
      }),
    get: async (id: string): Promise<ReplayRow | undefined> => (await readReplays(db, { id }))[0],
    /** Newest first. */
    list: (limit = 100): Promise<ReplayRow[]> => readReplays(db, {}, limit),
    unfinished: async (stage: string, wish: ReplayWish): Promise<ReplayRow | undefined> =>
      (await readReplays(db, { stage, status: 'running', wish: JSON.stringify(wish) }))[0],
    /** @returns false: its heart beats, or it has ended, or was taken over by another. */
    takeOver: async (id: string, from: string, owner: string, staleMs: number): Promise<boolean> => {
      const { rowCount } = await db.raw(
        `update replays set owner = ?, heartbeat_at = now()
         where id = ? and owner = ? and status = 'running' and heartbeat_at < now() - ? * interval '1 millisecond'`,
        [owner, id, from, staleMs],
      )
      return rowCount > 0
    },
    /** @returns what the replay is to its owner now; null: it is another's. */
    beat: async (id: string, owner: string, beat: ReplayBeat): Promise<ReplayStatus | null> => {
      const { rows } = await db.raw<{ rows: { status: ReplayStatus }[] }>(
        `update replays set heartbeat_at = now(), embedding_inputs = embedding_inputs + ?,
           embedding_tokens = embedding_tokens + ?, failed = failed + ?
         where id = ? and owner = ? returning status`,
        [beat.embeddingInputs, beat.embeddingTokens, beat.failed, id, owner],
      )
      const status = rows[0]?.status ?? null
      if (status !== null) await advance(db, id, beat.partitions)
      return status
    },
    /** Its process ends in order: whoever resumes it need not wait for its heart to be stale. */
    release: async (id: string, owner: string): Promise<void> =>
      void (await db('replays')
        .where({ id, owner })
        .update({ heartbeat_at: db.raw(`'epoch'`) })),
    /** @returns false: it was not running any more. */
    end: async (
      id: string,
      status: Exclude<ReplayStatus, 'running'>,
      error: string | null = null,
    ): Promise<boolean> => {
      const ended = { status, error, ended_at: db.fn.now() }
      return (await db('replays').where({ id, status: 'running' }).update(ended)) > 0
    },
    /** The ledger of a group that is over. */
    forgetLedger: async (group: string): Promise<void> =>
      void (await db('stage_offsets').where({ consumer_group: group }).delete()),
  }
}

/**
 * For the store's transactions: what these writes changed, and how far the ledger is with them.
 * @param recordsBelow how many of a partition's records, from the range's beginning on, lie below an offset.
 */
export async function countWrites(
  trx: Knex.Transaction,
  id: string,
  results: readonly WriteResult[],
  ledger: readonly LedgerPosition[],
  recordsBelow: (partition: number, offset: bigint) => number,
): Promise<void> {
  const sum = (of: (result: WriteResult) => number) => results.reduce((total, result) => total + of(result), 0)
  const [inserted, deleted] = [sum((result) => result.inserted), sum((result) => result.deleted)]
  if (inserted + deleted > 0)
    await trx.raw(
      `update replays set pages_changed = pages_changed + ?, chunks_inserted = chunks_inserted + ?,
         chunks_deleted = chunks_deleted + ? where id = ?`,
      [results.filter((result) => result.inserted + result.deleted > 0).length, inserted, deleted, id],
    )
  const positions = ledger.map(({ partition, nextOffset }) => ({
    ...{ partition, next: nextOffset, records: recordsBelow(partition, nextOffset) },
  }))
  await advance(trx, id, positions)
}

/** Forward only, so that the order of two transactions does not matter. */
async function advance(db: Knex, id: string, positions: ReplayBeat['partitions']): Promise<void> {
  for (const { partition, next, records } of [...positions].sort((a, b) => a.partition - b.partition))
    await db.raw(
      `update replay_partitions set next_offset = greatest(next_offset, ?), records = greatest(records, ?)
       where replay_id = ? and partition = ?`,
      [String(next), records, id, partition],
    )
}
