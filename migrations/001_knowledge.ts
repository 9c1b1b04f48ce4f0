/** The tables that hold tenants, their pages, the pages' chunks, and the stages' positions (the ledger). */
import type { Knex } from 'knex'

/** Text in unique keys is COLLATE "C": a glibc upgrade changes other collations' order and breaks their indexes. */
export async function up(knex: Knex): Promise<void> {
  const { dimensions } = knex.userParams as { dimensions: number }
  await knex.raw('create extension if not exists vector')
  await knex.raw(`
    create table tenants (
      id text collate "C" primary key,
      name text not null default '',
      status text not null default 'active' check (status in ('active', 'deleted')),
      limits jsonb not null default '{}',
      tokens_bought bigint not null default 0,
      created_at timestamptz not null default now()
    )`)
  // One row a page. It is the row that is locked while the page's chunks change; gone pages keep theirs, so that an old
  // record cannot bring them back.
  await knex.raw(`
    create table sources (
      tenant_id text collate "C" not null,
      id uuid not null,
      url text not null,
      url_hash bytea not null,
      canonical_url text not null,
      chunk_type text collate "C" not null,
      title text not null default '',
      language text not null default '',
      version bigint not null,
      extractor_version integer not null default 0,
      content_hash text collate "C" not null,
      chunker_version integer not null,
      config_fingerprint text collate "C" not null,
      chunk_count integer not null default 0,
      status text not null check (status in ('new', 'active', 'empty', 'gone')),
      fetched_at timestamptz,
      updated_at timestamptz not null default now(),
      primary key (tenant_id, id)
    )`)
  await knex.raw('create index sources_by_url on sources (tenant_id, url_hash)')
  // array_to_string is only STABLE for it takes any type; over text[] it is immutable, which a generated column needs.
  await knex.raw(`
    create function sluice_join(text[]) returns text language sql immutable parallel safe
    as $$ select array_to_string($1, ' ') $$`)
  await knex.raw(`
    create table tenant_knowledge (
      id uuid primary key default gen_random_uuid(),
      tenant_id text collate "C" not null,
      chunk_type text collate "C" not null,
      source_id uuid,
      document_id uuid,
      parent_id uuid,
      chunk_index integer not null default 0,
      heading_path text[] not null default '{}',
      content text not null,
      content_hash text collate "C" not null,
      token_count integer not null default 0,
      embedding halfvec(${Number(dimensions)}),
      embedding_model text not null default '',
      chunker_version integer not null default 0,
      source_version bigint not null default 0,
      metadata jsonb not null default '{}',
      search_config regconfig not null default 'simple',
      search_vector tsvector generated always as (
        setweight(to_tsvector(search_config, sluice_join(heading_path)), 'B') || to_tsvector(search_config, content)
      ) stored,
      created_at timestamptz not null default now()
    )`)
  await knex.raw('create index tenant_knowledge_by_type on tenant_knowledge (tenant_id, chunk_type)')
  await knex.raw('create index tenant_knowledge_by_source on tenant_knowledge (tenant_id, source_id)')
  await knex.raw('create index tenant_knowledge_by_document on tenant_knowledge (tenant_id, document_id)')
  await knex.raw('create index tenant_knowledge_by_hash on tenant_knowledge (tenant_id, content_hash)')
  await knex.raw('create index tenant_knowledge_by_time on tenant_knowledge (created_at)')
  // The ledger: written in the same transaction as the chunks, so committed offset ≤ next_offset at any moment.
  await knex.raw(`
    create table stage_offsets (
      consumer_group text collate "C" not null,
      topic text collate "C" not null,
      partition integer not null,
      next_offset bigint,
      epoch bigint not null default 1,
      owner text not null default '',
      updated_at timestamptz not null default now(),
      primary key (consumer_group, topic, partition)
    )`)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table stage_offsets, tenant_knowledge, sources, tenants')
  await knex.raw('drop function sluice_join(text[])')
}
