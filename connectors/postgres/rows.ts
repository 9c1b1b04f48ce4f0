import type { Knex } from 'knex'

/** Runs SQL that knex' builder cannot say; the caller names the shape of its rows. Bindings are `?`. */
export async function rowsOf<Row>(db: Knex, sql: string, bindings: readonly Knex.RawBinding[] = []): Promise<Row[]> {
  const { rows } = await db.raw<{ rows: Row[] }>(sql, [...bindings])
  return rows
}
