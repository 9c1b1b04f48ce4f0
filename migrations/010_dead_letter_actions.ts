/** What was decided about dead letters: the records themselves stay in their topics until retention takes them. */
import type { Knex } from 'knex'

/**
 * One row a dead letter, named by the record that it comes from: the log may hold it twice, for it is produced at least
 * once. The timestamp is part of the name because offsets begin anew in a topic that was made anew. No tenant is named
 * here and no text of a page, so that deleting a tenant leaves nothing of it behind.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table dead_letter_actions (
      topic text collate "C" not null,
      origin_topic text collate "C" not null,
      origin_partition integer not null,
      origin_offset bigint not null,
      origin_ms bigint not null,
      partition integer not null,
      record_offset bigint not null,
      action text not null check (action in ('redrive', 'discard')),
      reason text not null default '',
      actor text not null,
      -- Of the process that holds the claim; another one may take it over once it is old and nothing came of it.
      claim uuid not null,
      claimed_at timestamptz not null,
      done_at timestamptz,
      primary key (topic, origin_topic, origin_partition, origin_offset, origin_ms)
    )`)
  await knex.raw('create index dead_letter_actions_done on dead_letter_actions (topic, done_at)')
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table dead_letter_actions')
}
