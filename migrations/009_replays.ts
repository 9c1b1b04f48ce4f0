/** Replays of a stage over a part of its topic: what was asked for, how far each is, and what it has changed. */
import type { Knex } from 'knex'

/**
 * Two tables: a replay's figures, and where it stands in each partition. Both move in the transaction of the rows that
 * they count, so a killed replay neither loses nor doubles them; what has no transaction of its own (the embeddings API's
 * bill) is added every second.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table replays (
      id text collate "C" primary key,
      stage text not null,
      consumer_group text collate "C" not null unique,
      -- The words of the command, and the stage's configuration: said again they mean this replay.
      wish jsonb not null,
      tenant_id text collate "C",
      status text not null default 'running' check (status in ('running', 'done', 'cancelled', 'failed')),
      error text,
      pages_changed bigint not null default 0,
      chunks_inserted bigint not null default 0,
      chunks_deleted bigint not null default 0,
      failed bigint not null default 0,
      embedding_inputs bigint not null default 0,
      embedding_tokens bigint not null default 0,
      -- One process at a time works on it: a new one takes over once the old one's heart has stopped.
      owner text not null,
      heartbeat_at timestamptz not null default now(),
      created_at timestamptz not null default now(),
      ended_at timestamptz
    )`)
  // Said twice at the same moment it is one replay, too.
  await knex.raw(`create unique index unfinished_replay on replays (stage, wish) where status = 'running'`)
  await knex.raw(`
    create table replay_partitions (
      replay_id text collate "C" not null references replays on delete cascade,
      partition integer not null,
      from_offset bigint not null,
      to_offset bigint not null,
      next_offset bigint not null,
      records bigint not null default 0,
      primary key (replay_id, partition)
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table replay_partitions')
  await knex.raw('drop table replays')
}
