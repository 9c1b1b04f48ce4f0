/** Postgres: the server, the extension, the tables and the index that the pipeline stands on. */
import type { Knex } from 'knex'
import { classifyPostgres } from '../../connectors/postgres/errors.ts'
import { uniqueIndexProblem } from '../../connectors/postgres/index-check.ts'
import { migrationStatus } from '../../connectors/postgres/migrate.ts'
import { rowsOf } from '../../connectors/postgres/rows.ts'
import { bad, ok, warn } from './finding.ts'
import type { Check, Found } from './finding.ts'

/** The first with `hnsw.iterative_scan`, which searches within a small tenant need; halfvec came with 0.7. */
const PGVECTOR_NEEDED = [0, 8, 0]
/** Before it a vacuum, or an insert beside one, could corrupt an HNSW index (pgvector's changelog). */
const PGVECTOR_SAFE = [0, 8, 6]
const MAX_CLOCK_SKEW_MS = 5_000

export const postgresCheck: Check = {
  name: 'postgres',
  look: async ({ services: { db } }) => {
    const { version } = await only<{ version: string }>(db, 'select version() as version')
    return ok(version.split(' ').slice(0, 2).join(' '))
  },
}

export const pgvectorCheck: Check = {
  name: 'pgvector',
  needs: ['postgres'],
  look: async ({ services: { db } }) => {
    const sql = `select max(extversion) as version from pg_extension where extname = 'vector'`
    return judgePgvector((await only<{ version: string | null }>(db, sql)).version)
  },
}

export function judgePgvector(version: string | null): Found {
  if (version === null)
    return bad(
      'the extension is not installed',
      'Install pgvector 0.8.6 or newer on the server, then `sluice migrate up`.',
    )
  if (isOlder(version, PGVECTOR_NEEDED)) return bad(`${version} is too old: searches need 0.8.0`, UPGRADE)
  if (isOlder(version, PGVECTOR_SAFE)) return warn(`${version} has index corruption bugs that 0.8.6 fixed`, UPGRADE)
  return ok(version)
}
const UPGRADE =
  'Upgrade pgvector on the server, then `alter extension vector update` and `reindex table tenant_knowledge`.'

export const migrationsCheck: Check = {
  name: 'migrations',
  needs: ['postgres'],
  look: async ({ services: { db } }) => {
    const { pending } = await migrationStatus(db)
    return pending.length === 0 ? ok('up to date') : bad(`pending: ${pending.join(', ')}`, 'Run `sluice migrate up`.')
  },
}

export const indexCheck: Check = {
  name: 'unique index',
  needs: ['postgres'],
  look: async ({ services: { db } }) => {
    const problem = await uniqueIndexProblem(db)
    return problem
      ? bad(
          problem,
          'The chunker refuses to start. Drop the index if it is there, then `sluice migrate up`; where that one is recorded as done, `sluice migrate down` first.',
        )
      : ok('valid, as the migration makes it')
  },
}

export const dimensionsCheck: Check = {
  name: 'dimensions',
  needs: ['postgres'],
  look: async ({ services: { db, config } }) => {
    const sql = `select format_type(atttypid, atttypmod) as type from pg_attribute
                 where attrelid = to_regclass('tenant_knowledge') and attname = 'embedding'`
    const [column] = await rowsOf<{ type: string }>(db, sql)
    const expected = `halfvec(${config.embeddings.dimensions})`
    if (column?.type === expected) return ok(expected)
    if (!column) return bad('tenant_knowledge is missing', 'Run `sluice migrate up`.')
    return bad(
      `the column is ${column.type}, the settings say ${expected}`,
      'Set EMBEDDING_DIMENSIONS to the column’s. For other vectors take a new database, or take the tables back (`sluice migrate down --all --yes`).',
    )
  },
}

export const clocksCheck: Check = {
  name: 'clocks',
  needs: ['postgres'],
  look: async ({ services: { db }, now }) => {
    const beforeMs = now()
    const { ms } = await only<{ ms: string }>(db, 'select extract(epoch from clock_timestamp()) * 1000 as ms')
    const skewMs = Math.round(Number(ms) - (beforeMs + now()) / 2)
    const found = `Postgres is ${Math.abs(skewMs)} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this machine`
    return Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS
      ? ok(found)
      : bad(found, 'Synchronise the clocks of both (NTP): leases of budgets and versions of pages are times.')
  },
}

async function only<Row extends object>(db: Knex, sql: string): Promise<Row> {
  const [row] = await rowsOf<Row>(db, sql).catch((error: unknown) => {
    throw classifyPostgres(error)
  })
  return row!
}

function isOlder(version: string, than: readonly number[]): boolean {
  const parts = version.split('.').map(Number)
  const at = than.findIndex((part, index) => (parts[index] ?? 0) !== part)
  return at >= 0 && (parts[at] ?? 0) < than[at]!
}
