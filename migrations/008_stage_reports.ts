/** What each running instance says of its stages, so that a command on any machine sees the whole fleet. */
import type { Knex } from 'knex'

/**
 * One row an instance and stage, rewritten every few seconds: a page half empty keeps that within the page. Nothing
 * depends on it: rows of instances that were killed are swept by those that live, and an empty table is a valid one.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table stage_reports (
      instance text collate "C" not null,
      stage text collate "C" not null,
      report jsonb not null,
      updated_at timestamptz not null,
      primary key (instance, stage)
    ) with (fillfactor = 50)`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table stage_reports')
}
