/** The crawler's durable memory: crawls, their URLs, hosts (across tenants), and what is known of pages between crawls. */
import type { Knex } from 'knex'

/** URLs are indexed by their SHA-256: a B-tree key above 8,191 bytes is an error, and a URL may be longer. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table crawl_jobs (
      tenant_id text collate "C" not null,
      id text collate "C" not null,
      status text collate "C" not null default 'running' check (status in ('running', 'done')),
      chunk_type text collate "C" not null,
      max_pages integer not null,
      max_depth integer not null,
      admitted integer not null default 0 check (admitted <= max_pages),
      fetched integer not null default 0,
      gone integer not null default 0,
      unchanged integer not null default 0,
      skipped integer not null default 0,
      failed integer not null default 0,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (tenant_id, id)
    )`)
  // not_before is when the row may be leased (again): a lease moves it to the lease's end, so a lost lease needs no
  // clean-up and one index serves both states.
  await knex.raw(`
    create table crawl_frontier (
      tenant_id text collate "C" not null,
      crawl_id text collate "C" not null,
      url_hash bytea not null,
      url text not null,
      host text collate "C" not null,
      depth integer not null,
      state text collate "C" not null default 'queued' check (state in ('queued', 'leased', 'done', 'failed')),
      attempts integer not null default 0,
      not_before timestamptz not null,
      lease_owner text not null default '',
      reason text not null default '',
      created_at timestamptz not null default now(),
      primary key (tenant_id, crawl_id, url_hash),
      foreign key (tenant_id, crawl_id) references crawl_jobs (tenant_id, id) on delete cascade
    )`)
  await knex.raw(
    `create index crawl_frontier_due on crawl_frontier (host, not_before) where state in ('queued', 'leased')`,
  )
  await knex.raw(`create index crawl_frontier_leased on crawl_frontier (host) where state = 'leased'`)
  // polite_at: not before this for politeness' sake. next_at: the earliest moment at which a lease can find a row here,
  // 'infinity' if none waits; it is what makes leasing cost the hosts that are due and not all hosts ever seen.
  await knex.raw(`
    create table crawl_hosts (
      host text collate "C" primary key,
      polite_at timestamptz not null default '-infinity',
      next_at timestamptz not null default 'infinity',
      delay_ms double precision not null default 0,
      backoff_ms double precision not null default 0,
      backoff_at timestamptz
    )`)
  await knex.raw('create index crawl_hosts_due on crawl_hosts (next_at)')
  await knex.raw(`
    create table web_pages (
      tenant_id text collate "C" not null,
      url_hash bytea not null,
      chunk_type text collate "C" not null,
      etag text not null,
      last_modified text not null,
      body_hash text not null,
      version bigint not null,
      links jsonb not null,
      updated_at timestamptz not null default now(),
      primary key (tenant_id, url_hash)
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table web_pages, crawl_hosts, crawl_frontier, crawl_jobs')
}
