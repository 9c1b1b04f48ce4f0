/** Replays as the tables have them. */
import type { Knex } from 'knex'

export type ReplayStatus = 'running' | 'done' | 'cancelled' | 'failed'

export interface ReplayWish {
  readonly from: string
  readonly to: string
  readonly partition: number | null
  readonly tenant: string | null
  /** Of the stage's configuration: another one makes another replay. */
  readonly config: string
}

export interface ReplayPartition {
  readonly partition: number
  readonly from: bigint
  /** Exclusive. */
  readonly to: bigint
  /** Everything below it is done and counted. */
  readonly next: bigint
  readonly records: number
}

export interface ReplayRow {
  readonly id: string
  readonly stage: string
  readonly group: string
  readonly wish: ReplayWish
  readonly status: ReplayStatus
  readonly error: string | null
  readonly figures: {
    readonly records: number
    readonly pagesChanged: number
    readonly chunksInserted: number
    readonly chunksDeleted: number
    readonly embeddingInputs: number
    readonly embeddingTokens: number
  }
  /** Records that went to the retry topic or the dead letters. */
  readonly failed: number
  readonly partitions: readonly ReplayPartition[]
  readonly owner: string
  /** By the database's clock. */
  readonly heartbeatAgeMs: number
  readonly createdAt: Date
  readonly endedAt: Date | null
}

/** Newest first. */
export async function readReplays(db: Knex, where: object, limit = 1): Promise<ReplayRow[]> {
  const rows = await db('replays as r')
    .where(where)
    .orderBy('created_at', 'desc')
    .limit(limit)
    .select(
      'r.*',
      db.raw('(extract(epoch from now() - heartbeat_at) * 1000)::double precision as heartbeat_age_ms'),
      db.raw(`(select coalesce(jsonb_agg(p order by p.partition), '[]') from (
        select partition, from_offset::text, to_offset::text, next_offset::text, records
        from replay_partitions where replay_id = r.id) p) as partitions`),
    )
  return (rows as RawReplay[]).map(toReplay)
}

interface RawPartition {
  partition: number
  from_offset: string
  to_offset: string
  next_offset: string
  records: number
}
type Sum = 'pages_changed' | 'chunks_inserted' | 'chunks_deleted' | 'failed' | 'embedding_inputs' | 'embedding_tokens'
type RawReplay = Pick<ReplayRow, 'id' | 'stage' | 'wish' | 'status' | 'error' | 'owner'> &
  Record<Sum, string> & {
    consumer_group: string
    heartbeat_age_ms: number
    created_at: Date
    ended_at: Date | null
    partitions: RawPartition[]
  }

function toReplay(row: RawReplay): ReplayRow {
  const partitions = row.partitions.map((one) => ({
    ...{ partition: one.partition, from: BigInt(one.from_offset), to: BigInt(one.to_offset) },
    ...{ next: BigInt(one.next_offset), records: one.records },
  }))
  const { id, stage, wish, status, error, owner } = row
  return {
    ...{ id, stage, wish, status, error, owner, partitions },
    group: row.consumer_group,
    heartbeatAgeMs: row.heartbeat_age_ms,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    figures: {
      records: partitions.reduce((sum, { records }) => sum + records, 0),
      pagesChanged: Number(row.pages_changed),
      chunksInserted: Number(row.chunks_inserted),
      chunksDeleted: Number(row.chunks_deleted),
      embeddingInputs: Number(row.embedding_inputs),
      embeddingTokens: Number(row.embedding_tokens),
    },
    failed: Number(row.failed),
  }
}
