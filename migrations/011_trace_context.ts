/** The trace that a crawl was asked for in (W3C): pages are fetched long after, by other processes, and belong to it. */
import type { Knex } from 'knex'

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table crawl_jobs
      add column traceparent text not null default '',
      add column tracestate text not null default ''`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('alter table crawl_jobs drop column traceparent, drop column tracestate')
}
