/**
 * What products read: the view `knowledge` (children with their parents' text) under the role sluice_reader, which sees
 * one tenant only: the one named by set_config('sluice.tenant_id', …, true) inside the transaction. Unset or '' (what
 * SET LOCAL leaves behind) sees nothing.
 */
import type { Knex } from 'knex'

const tables = ['tenant_knowledge', 'sources']

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- Roles belong to the whole cluster: another database of it may have this one, or be making it at this very moment.
    do $$ begin
      begin
        create role sluice_reader nologin;
      exception when duplicate_object or unique_violation then null;
      end;
      begin
        execute format('grant sluice_reader to %I', current_user);
      exception when unique_violation then null;
      end;
    end $$`)
  for (const table of tables) {
    await knex.raw(`alter table ${table} enable row level security`)
    await knex.raw(`alter table ${table} force row level security`)
    await knex.raw(`
      create policy reader_sees_one_tenant on ${table} for select to sluice_reader
      using (tenant_id = nullif(current_setting('sluice.tenant_id', true), ''))`)
    // The pipeline's own role owns the tables; forced row security would bind it too.
    await knex.raw(`create policy pipeline_sees_all on ${table} to current_user using (true) with check (true)`)
  }
  await knex.raw(`
    create view knowledge with (security_invoker = true) as
    select child.id, child.tenant_id, child.chunk_type, child.source_id, child.document_id, child.chunk_index,
           child.heading_path, child.content, child.embedding, child.search_vector, child.search_config, child.metadata,
           child.created_at, coalesce(parent.content, child.content) as parent_content, child.parent_id,
           source.url, source.title, source.language
    from tenant_knowledge child
    left join tenant_knowledge parent on parent.id = child.parent_id and parent.tenant_id = child.tenant_id
    left join sources source on source.tenant_id = child.tenant_id and source.id = child.source_id
    where child.embedding is not null`)
  await knex.raw('grant select on knowledge, tenant_knowledge, sources to sluice_reader')
}

/** The role stays: it belongs to the whole cluster, other databases may use it. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop view knowledge')
  for (const table of tables) {
    await knex.raw(`revoke all on ${table} from sluice_reader`)
    await knex.raw(`drop policy pipeline_sees_all on ${table}`)
    await knex.raw(`drop policy reader_sees_one_tenant on ${table}`)
    await knex.raw(`alter table ${table} no force row level security`)
    await knex.raw(`alter table ${table} disable row level security`)
  }
}
