import t from 'tap'
import { migrateDown } from '../../connectors/postgres/migrate.ts'
import { readConfig } from '../config.ts'
import { withEndpoints } from '../endpoints.ts'
import { createLogger } from '../logger.ts'
import { createServices } from '../services.ts'
import { TEST_DIMENSIONS, createTestDatabase } from '../testing/database.ts'
import { checkUp } from './checks.ts'
import type { Finding } from './checks.ts'

/** Nobody listens on port 1: Kafka, registry and embeddings are away in all of these. */
const GONE = '127.0.0.1:1'
const database = await createTestDatabase()
t.teardown(database.close)

async function examine({ url = database.url, dimensions = TEST_DIMENSIONS } = {}): Promise<Record<string, Finding>> {
  const config = readConfig({
    DATABASE_URL: url,
    KAFKA_BROKERS: GONE,
    SCHEMA_REGISTRY_URL: `http://${GONE}`,
    OPENAI_BASE_URL: `http://${GONE}/v1`,
    OPENAI_API_KEY: 'none',
    EMBEDDING_DIMENSIONS: String(dimensions),
  })
  const services = createServices(withEndpoints(config, {}), createLogger('silent'))
  const findings: Record<string, Finding> = {}
  try {
    for await (const finding of checkUp(services)) findings[finding.check] = finding
  } finally {
    await services.close()
  }
  return findings
}

t.test('a migrated database is well, while everything else is away', async (t) => {
  const found = await examine()
  // The version that is there decides: before 0.8.6 the finding is a warning, and says why.
  const [{ extversion }] = (await database.db.raw(`select extversion from pg_extension where extname = 'vector'`)).rows
  const isOld = String(extversion).localeCompare('0.8.6', 'en', { numeric: true }) < 0
  t.match(found['pgvector'], isOld ? { state: 'warn', detail: /0\.8\.6/ } : { state: 'ok', detail: extversion })
  for (const check of ['postgres', 'migrations', 'unique index', 'dimensions', 'clocks'])
    t.equal(found[check]?.state, 'ok', `${check}: ${found[check]?.detail}`)
  t.match(found['kafka'], { state: 'bad', detail: /127\.0\.0\.1:1: ECONNREFUSED/, hint: /KAFKA_BROKERS/ })
  t.match(found['schema registry'], { state: 'bad', hint: /SCHEMA_REGISTRY_URL/ })
  t.match(found['embeddings'], { state: 'bad', hint: /OPENAI_BASE_URL/ })
})

t.test('what cannot be looked at is neither called good nor blamed', async (t) => {
  const found = await examine({ url: `postgres://u:p@${GONE}/x` })
  t.match(found['postgres'], { state: 'bad', hint: /DATABASE_URL/ })
  for (const check of ['topics', 'committed ≤ ledger', 'migrations', 'unique index', 'dimensions'])
    t.match(found[check], { state: 'warn', detail: /not looked at/ }, check)
})

t.test('other dimensions than the column’s are bad, and both are named', async (t) => {
  const { dimensions } = await examine({ dimensions: 64 })
  t.match(dimensions, { state: 'bad', detail: /halfvec\(32\).*halfvec\(64\)/, hint: /EMBEDDING_DIMENSIONS/ })
})

t.test('a missing unique index is bad, and so is one with another predicate', async (t) => {
  await database.db.raw('drop index unique_chunk_per_source')
  t.match((await examine())['unique index'], { state: 'bad', detail: /missing/, hint: /migrate/ })
  await database.db.raw(
    `create unique index unique_chunk_per_source on tenant_knowledge (tenant_id, source_id, chunk_type, chunk_index)`,
  )
  t.match((await examine())['unique index'], { state: 'bad', detail: /predicate/ })
})

t.test('a pending migration is bad and named, and the tables that it would make are missed', async (t) => {
  await migrateDown(database.db, true)
  const found = await examine()
  t.match(found['migrations'], { state: 'bad', detail: /001_knowledge/, hint: /migrate up/ })
  t.match(found['dimensions'], { state: 'bad', detail: /missing/, hint: /migrate up/ })
  t.equal(found['unique index']?.state, 'bad')
})
