/**
 * The partial unique index that makes inserts idempotent, brought to a live table that may hold duplicates: remove them
 * (the newest row stays), build CONCURRENTLY, and start over when writers slipped new duplicates in meanwhile or an
 * earlier try left an INVALID index. Partial, because hand-written rows have no source; an index, because Postgres has no
 * partial unique constraint. Tenant first: else tenant B's page is ignored because A has the same one.
 */
import type { Knex } from 'knex'

/** CREATE INDEX CONCURRENTLY cannot run inside a transaction. */
export const config = { transaction: false }

const UNIQUE_VIOLATION = '23505'
/** Each round removes what slipped in during the one before. */
const CONCURRENT_ROUNDS = 5
const INDEX = `unique_chunk_per_source
  on tenant_knowledge (tenant_id, source_id, chunk_type, chunk_index)
  where source_id is not null`

export async function up(knex: Knex): Promise<void> {
  for (let round = 1; round <= CONCURRENT_ROUNDS; round += 1) {
    await dropInvalid(knex)
    await removeDuplicates(knex)
    try {
      await knex.raw(`create unique index concurrently if not exists ${INDEX}`)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error
    }
  }
  await buildUnderLock(knex)
}

/**
 * Writers that add duplicates faster than a concurrent build can begin would make it fail for ever: they wait once, for as
 * long as the build takes. Readers do not.
 */
async function buildUnderLock(knex: Knex): Promise<void> {
  await dropInvalid(knex)
  await knex.transaction(async (trx) => {
    await trx.raw('lock table tenant_knowledge in share row exclusive mode')
    await removeDuplicates(trx)
    await trx.raw(`create unique index if not exists ${INDEX}`)
  })
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop index concurrently if exists unique_chunk_per_source')
}

/** A failed CONCURRENTLY leaves an index that is there, enforces nothing, and satisfies IF NOT EXISTS. */
async function dropInvalid(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: unknown[] }>(`
    select 1 from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where c.relname = 'unique_chunk_per_source' and n.nspname = current_schema() and not (i.indisvalid and i.indisready)`)
  if (rows.length > 0) await knex.raw('drop index concurrently if exists unique_chunk_per_source')
}

async function removeDuplicates(knex: Knex): Promise<void> {
  await knex.raw(`
    delete from tenant_knowledge where ctid in (
      select ctid from (
        select ctid, row_number() over (
          partition by tenant_id, source_id, chunk_type, chunk_index
          order by source_version desc, created_at desc, id desc
        ) as place
        from tenant_knowledge where source_id is not null
      ) ranked where place > 1
    )`)
}
