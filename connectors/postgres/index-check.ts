/**
 * Refuses to start a writer without the unique index as the migration makes it. An index that is INVALID, or has another
 * predicate or other columns, enforces something else: inserts would then double rows, or drop them, silently.
 */
import type { Knex } from 'knex'
import { UserError } from '../../streams/errors.ts'
import { classifyPostgres } from './errors.ts'
import { rowsOf } from './rows.ts'

const NAME = 'unique_chunk_per_source'
const EXPECTED = {
  columns: 'tenant_id,source_id,chunk_type,chunk_index',
  predicate: '(source_id IS NOT NULL)',
}

interface IndexRow {
  indisunique: boolean
  indisvalid: boolean
  indisready: boolean
  predicate: string | null
  columns: string
  table: string
}

/** @returns what is wrong with the index, or null. */
export async function uniqueIndexProblem(db: Knex): Promise<string | null> {
  const [index] = await rowsOf<IndexRow>(
    db,
    `select i.indisunique, i.indisvalid, i.indisready, pg_get_expr(i.indpred, i.indrelid) as predicate,
       (select string_agg(pg_get_indexdef(i.indexrelid, n, true), ',' order by n)
        from generate_series(1, i.indnkeyatts) n) as columns,
       i.indrelid::regclass::text as table
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where c.relname = ? and c.relnamespace = current_schema()::regnamespace`,
    [NAME],
  ).catch((error: unknown) => {
    throw classifyPostgres(error)
  })
  if (!index) return `the index ${NAME} is missing`
  if (!index.indisvalid || !index.indisready) return `the index ${NAME} is INVALID: an earlier build of it failed`
  if (!index.indisunique) return `the index ${NAME} is not unique`
  if (index.table !== 'tenant_knowledge') return `the index ${NAME} is on ${index.table}, not on tenant_knowledge`
  if (index.columns !== EXPECTED.columns)
    return `the index ${NAME} covers (${index.columns}), not (${EXPECTED.columns})`
  if (index.predicate !== EXPECTED.predicate)
    return `the index ${NAME} has the predicate ${index.predicate ?? 'none'}, not ${EXPECTED.predicate}`
  return null
}

/** @throws UserError */
export async function requireUniqueIndex(db: Knex): Promise<void> {
  const problem = await uniqueIndexProblem(db)
  if (problem === null) return
  const hint = 'Run `sluice migrate up`; if it stands recorded as done, see ops/docs/runbooks.md#restored-database.'
  throw new UserError(`refusing to write chunks: ${problem}`, hint)
}
