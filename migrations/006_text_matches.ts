/**
 * Full-text matches of the reader's tenant, by index. Row security keeps `@@` away from the GIN index (it is not
 * leakproof, so it may see only rows that the policy has passed already) and the reader would scan its whole tenant. The
 * function runs as the tables' owner and asks for the tenant itself; unset or '' finds nothing, as the policy does.
 */
import type { Knex } from 'knex'

/**
 * `execute`, not a static statement: a generic plan cannot tell a rare word from a common one, nor a small tenant from a
 * big one. The names are qualified and the path is fixed, so that a caller's own tables cannot take their place.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { schema: string }[] }>('select quote_ident(current_schema()) as schema')
  const { schema } = rows[0]!
  await knex.raw(`
    create function sluice_text_matches(query tsquery, at_most integer)
    returns table (id uuid, parent_id uuid, source_id uuid, search_config regconfig, search_vector tsvector)
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    as $$ begin
      return query execute
        'select k.id, k.parent_id, k.source_id, k.search_config, k.search_vector from ${schema}.tenant_knowledge k
         where k.tenant_id = $1 and k.embedding is not null and k.search_vector @@ $2 limit $3'
        using nullif(current_setting('sluice.tenant_id', true), ''), query, at_most;
    end $$`)
  await knex.raw('revoke all on function sluice_text_matches(tsquery, integer) from public')
  await knex.raw('grant execute on function sluice_text_matches(tsquery, integer) to sluice_reader')
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop function sluice_text_matches(tsquery, integer)')
}
