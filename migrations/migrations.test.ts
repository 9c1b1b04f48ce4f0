import t from 'tap'
import { requireUniqueIndex, uniqueIndexProblem } from '../connectors/postgres/index-check.ts'
import { migrateDown, migrateUp, migrationStatus } from '../connectors/postgres/migrate.ts'
import { createTestDatabase } from '../ops/testing/database.ts'

const database = await createTestDatabase()
const { db } = database
t.teardown(database.close)

const INDEX = 'unique_chunk_per_source'
const chunk = (index: number, content: string, version = 1) => ({
  tenant_id: 'acme',
  chunk_type: 'website',
  source_id: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
  chunk_index: index,
  content,
  content_hash: content,
  source_version: version,
})
/** Undoes the migrations down to, and with, the one that brings the index. */
async function withoutIndex() {
  while ((await migrationStatus(db)).done.includes('003_unique_chunk_per_source')) await migrateDown(db)
}
t.afterEach(async () => {
  await db.raw('truncate tenant_knowledge')
  await db.raw(`drop index if exists ${INDEX}`)
  await withoutIndex()
  await migrateUp(db)
})

t.test('up, down to nothing, and up again', async (t) => {
  t.strictSame((await migrationStatus(db)).pending, [])
  const names = await migrateDown(db, true)
  t.equal(names.length, (await migrationStatus(db)).pending.length)
  const { rows } = await db.raw(
    `select tablename from pg_tables where schemaname = 'public' and tablename not like 'sluice_%'`,
  )
  t.strictSame(rows, [], 'no table is left')
  t.strictSame((await migrateUp(db)).sort(), [...names].sort())
  t.equal(await uniqueIndexProblem(db), null)
})

t.test('a database of a newer version serves an older one, whose `down` takes nothing from under it', async (t) => {
  await db('sluice_migrations').insert({ name: '999_newer', batch: 99, migration_time: new Date() })
  try {
    t.strictSame(await migrateUp(db), [])
    await t.rejects(migrateDown(db), { message: /newer version: 999_newer/, hint: /of that version/ })
    t.strictSame((await migrationStatus(db)).pending, [])
  } finally {
    await db('sluice_migrations').where({ name: '999_newer' }).delete()
  }
})

t.test('a migration that was killed does not lock out the next one', async (t) => {
  await withoutIndex()
  await db('sluice_migrations_lock').update({ is_locked: 1 })
  await migrateUp(db)
  t.strictSame((await migrationStatus(db)).pending, [])
})

t.test('the unique index comes to a table with duplicates: the newest of each stays', async (t) => {
  await withoutIndex()
  await db('tenant_knowledge').insert([
    chunk(0, 'old', 1),
    chunk(0, 'new', 2),
    chunk(0, 'older', 0),
    chunk(1, 'single'),
    { ...chunk(0, 'other tenant'), tenant_id: 'globex' },
    { ...chunk(0, 'by hand'), source_id: null },
    { ...chunk(0, 'by hand'), source_id: null },
  ])
  await migrateUp(db)
  const contents = (await db('tenant_knowledge').orderBy('content')).map((row) => row.content)
  t.strictSame(contents, ['by hand', 'by hand', 'new', 'other tenant', 'single'])
  await t.rejects(db('tenant_knowledge').insert(chunk(0, 'again')), { code: '23505' })
})

t.test('it can be run again at any point, also over an INVALID leftover', async (t) => {
  await withoutIndex()
  await db('tenant_knowledge').insert([chunk(0, 'a'), chunk(0, 'b')])
  const failed = db.raw(`
    create unique index concurrently ${INDEX} on tenant_knowledge (tenant_id, source_id, chunk_type, chunk_index)
    where source_id is not null`)
  await t.rejects(failed, { code: '23505' }, 'duplicates make the build fail')
  await migrateUp(db)
  t.equal(await uniqueIndexProblem(db), null)
})

t.test(
  'it comes to a table that writers keep filling with duplicates',
  { skip: !database.isReal && 'needs a real Postgres: PGlite runs one statement at a time' },
  async (t) => {
    await withoutIndex()
    await db('tenant_knowledge').insert(Array.from({ length: 500 }, (_, index) => chunk(index % 50, `c${index}`)))
    let writing = true
    let refused = 0
    const writer = (async () => {
      for (let index = 0; writing; index += 1)
        await db('tenant_knowledge')
          .insert(chunk(index % 50, `w${index}`))
          .catch((error: { code?: string }) => {
            if (error.code !== '23505') throw error
            refused += 1
          })
    })()
    await migrateUp(db)
    writing = false
    await writer
    t.equal(await uniqueIndexProblem(db), null)
    const { rows } = await db.raw(
      `select count(*)::int as n, count(distinct chunk_index)::int as keys from tenant_knowledge`,
    )
    t.equal(rows[0].n, rows[0].keys)
    t.comment(`${refused} writes refused by the index`)
  },
)

t.test('the start-up check refuses an index that enforces something else', async (t) => {
  const on = '(tenant_id, source_id, chunk_type, chunk_index)'
  const wrong: [string, string | null, RegExp][] = [
    ['missing', null, /missing/],
    ['not unique', `create index ${INDEX} on tenant_knowledge ${on} where source_id is not null`, /not unique/],
    ['no predicate', `create unique index ${INDEX} on tenant_knowledge ${on}`, /predicate none/],
    [
      'another predicate',
      `create unique index ${INDEX} on tenant_knowledge ${on} where source_id is not null and chunk_index > 0`,
      /predicate/,
    ],
    [
      'tenant left out',
      `create unique index ${INDEX} on tenant_knowledge (source_id, chunk_type, chunk_index) where source_id is not null`,
      /covers/,
    ],
  ]
  for (const [name, sql, expected] of wrong) {
    await db.raw(`drop index if exists ${INDEX}`)
    if (sql) await db.raw(sql)
    await t.rejects(requireUniqueIndex(db), { name: 'UserError', message: expected }, name)
  }
  await db.raw(`drop index if exists ${INDEX}`)
  await db.raw(`create unique index ${INDEX} on tenant_knowledge ${on} where source_id is not null`)
  await db.raw(`update pg_index set indisvalid = false where indexrelid = '${INDEX}'::regclass`)
  await t.rejects(requireUniqueIndex(db), { message: /INVALID/ }, 'invalid')
})
