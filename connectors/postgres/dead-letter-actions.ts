/** The table of what was decided about dead letters, and the claims that keep two redrives from doing one twice. */
import type { Knex } from 'knex'
import { classifyPostgres } from './errors.ts'

/** The record that a dead letter comes from; `timestampMs` is the time at which it was first sent. */
export interface LetterOrigin {
  readonly topic: string
  readonly partition: number
  readonly offset: string
  readonly timestampMs: number
}

/** A dead letter: its origin is its name, its own position is kept for whoever looks it up. */
export interface LetterName {
  readonly origin: LetterOrigin
  readonly partition: number
  readonly offset: string
}

export interface LetterAction {
  readonly action: 'redrive' | 'discard'
  readonly reason: string
  readonly actor: string
  /** Milliseconds since the epoch, by the database's clock. */
  readonly claimedMs: number
  /** null: claimed, and not known to have been done. */
  readonly doneMs: number | null
}

interface Wish {
  readonly action: 'redrive' | 'discard'
  readonly reason: string
  readonly actor: string
  /** A UUID of this run. */
  readonly claim: string
  /** A claim that is older than this and not done was left by a process that died. */
  readonly staleMs: number
}

export interface DeadLetterActions {
  /** By `originKey`; those that nobody has touched are absent. */
  readonly find: (topic: string, letters: readonly LetterName[]) => Promise<Map<string, LetterAction>>
  /** Takes what is open or stale. @returns the keys of those that are the caller's now. */
  readonly claim: (topic: string, letters: readonly LetterName[], wish: Wish) => Promise<Set<string>>
  /** @returns false: the claim had been taken over. */
  readonly done: (topic: string, letter: LetterName, claim: string) => Promise<boolean>
  /** Gives a claim back of which nothing came. */
  readonly release: (topic: string, letter: LetterName, claim: string) => Promise<void>
  /** Keys of what was done since a moment of the database's clock, and that clock's time now. */
  readonly doneSince: (topic: string, sinceMs: number) => Promise<{ keys: string[]; nowMs: number }>
}

export const originKey = ({ topic, partition, offset, timestampMs }: LetterOrigin): string =>
  `${topic}/${partition}/${offset}@${timestampMs}`

const KEY = 'topic, origin_topic, origin_partition, origin_offset, origin_ms'
const NAMES = `unnest(?::text[], ?::int[], ?::bigint[], ?::bigint[], ?::int[], ?::bigint[])
  as n (origin_topic, origin_partition, origin_offset, origin_ms, partition, record_offset)`

interface KeyRow {
  origin_topic: string
  origin_partition: number
  origin_offset: string
  origin_ms: string
}

export function createDeadLetterActions(db: Knex): DeadLetterActions {
  const query = async <Row>(sql: string, bindings: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await db.raw<{ rows: Row[] }>(sql, bindings as Knex.RawBinding[])).rows
    } catch (error) {
      throw classifyPostgres(error)
    }
  }
  return {
    find: async (topic, letters) => {
      const rows = await query<KeyRow & ActionRow>(
        `select a.origin_topic, a.origin_partition, a.origin_offset, a.origin_ms, a.action, a.reason, a.actor,
           ${epochMs('a.claimed_at')} as claimed_ms, ${epochMs('a.done_at')} as done_ms
         from dead_letter_actions a join ${NAMES} using (origin_topic, origin_partition, origin_offset, origin_ms)
         where a.topic = ?`,
        [...columns(letters), topic],
      )
      return new Map(rows.map((row) => [keyOfRow(row), toAction(row)]))
    },
    claim: async (topic, letters, { action, reason, actor, claim, staleMs }) => {
      // One row a key: a statement must not touch a row twice. In key order: two runs would deadlock otherwise.
      const unique = [...new Map(letters.map((letter) => [originKey(letter.origin), letter])).values()]
      const rows = await query<KeyRow>(
        `insert into dead_letter_actions as mine (${KEY}, partition, record_offset, action, reason, actor, claim,
           claimed_at, done_at)
         select ?::text, n.*, ?::text, ?::text, ?::text, ?::uuid, clock_timestamp(),
           case when ?::boolean then clock_timestamp() end
         from ${NAMES} order by 2, 3, 4, 5
         on conflict (${KEY}) do update set
           action = excluded.action, reason = excluded.reason, actor = excluded.actor, claim = excluded.claim,
           claimed_at = excluded.claimed_at, done_at = excluded.done_at, partition = excluded.partition,
           record_offset = excluded.record_offset
         where mine.done_at is null and mine.claimed_at < clock_timestamp() - ?::double precision * interval '1 millisecond'
         returning origin_topic, origin_partition, origin_offset, origin_ms`,
        // A discard is done with its row; a redrive once the record has been produced.
        [topic, action, reason, actor, claim, action === 'discard', ...columns(unique), staleMs],
      )
      return new Set(rows.map(keyOfRow))
    },
    done: async (topic, letter, claim) => {
      const rows = await query(
        `update dead_letter_actions set done_at = clock_timestamp() where ${MINE} and done_at is null returning 1`,
        mine(topic, letter, claim),
      )
      return rows.length === 1
    },
    release: async (topic, letter, claim) => {
      await query(`delete from dead_letter_actions where ${MINE} and done_at is null`, mine(topic, letter, claim))
    },
    doneSince: async (topic, sinceMs) => {
      const clock = await query<{ now_ms: string }>(`select ${epochMs('clock_timestamp()')} as now_ms`, [])
      const rows = await query<KeyRow>(
        `select origin_topic, origin_partition, origin_offset, origin_ms from dead_letter_actions
         where topic = ? and done_at >= to_timestamp(?::double precision / 1000)`,
        [topic, sinceMs],
      )
      return { keys: rows.map(keyOfRow), nowMs: Number(clock[0]!.now_ms) }
    },
  }
}

const MINE = `topic = ? and origin_topic = ? and origin_partition = ? and origin_offset = ? and origin_ms = ? and claim = ?`
const mine = (topic: string, { origin }: LetterName, claim: string) => [
  ...[topic, origin.topic, origin.partition, origin.offset, origin.timestampMs, claim],
]

const epochMs = (column: string) => `floor(extract(epoch from ${column}) * 1000)::bigint`

const columns = (letters: readonly LetterName[]) => [
  letters.map(({ origin }) => origin.topic),
  letters.map(({ origin }) => origin.partition),
  letters.map(({ origin }) => origin.offset),
  letters.map(({ origin }) => origin.timestampMs),
  letters.map(({ partition }) => partition),
  letters.map(({ offset }) => offset),
]

const keyOfRow = (row: KeyRow) =>
  originKey({
    topic: row.origin_topic,
    partition: row.origin_partition,
    offset: row.origin_offset,
    timestampMs: Number(row.origin_ms),
  })

interface ActionRow {
  action: 'redrive' | 'discard'
  reason: string
  actor: string
  claimed_ms: string
  done_ms: string | null
}

const toAction = ({ action, reason, actor, claimed_ms, done_ms }: ActionRow): LetterAction => ({
  ...{ action, reason, actor },
  claimedMs: Number(claimed_ms),
  doneMs: done_ms === null ? null : Number(done_ms),
})
