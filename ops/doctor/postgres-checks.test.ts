import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { migrateDown } from '../../connectors/postgres/migrate.ts'
import { TEST_DIMENSIONS, createTestDatabase } from '../testing/database.ts'
import { examine } from '../testing/examine.ts'
import { judgePgvector } from './postgres-checks.ts'

const database = await createTestDatabase()
t.teardown(database.close)
const look = (dimensions = TEST_DIMENSIONS, options = {}) =>
  examine({ DATABASE_URL: database.url, EMBEDDING_DIMENSIONS: String(dimensions) }, options)

t.test('a password that is refused is told as such, with the variable', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      const fields = ['SFATAL', 'C28P01', 'Mpassword authentication failed for user "u"', ''].join('\0') + '\0'
      const head = Buffer.from('E\0\0\0\0')
      head.writeInt32BE(fields.length + 4, 1)
      socket.end(Buffer.concat([head, Buffer.from(fields)]))
    })
  }).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  t.teardown(() => server.close())
  const url = `postgres://u:secret-word@127.0.0.1:${(server.address() as AddressInfo).port}/x`
  const { postgres } = await examine({ DATABASE_URL: url })
  t.match(postgres, { state: 'bad', detail: /password authentication failed/, hint: /DATABASE_URL/ })
  t.notMatch(JSON.stringify(postgres), 'secret-word')
})

t.test('a pgvector that lacks something or corrupts indexes is told apart', async (t) => {
  t.match(judgePgvector(null), { state: 'bad', detail: /not installed/, hint: /sluice migrate up/ })
  for (const version of ['0.4.4', '0.7.4'])
    t.match(judgePgvector(version), { state: 'bad', detail: `${version} is too old`, hint: /alter extension/ })
  for (const version of ['0.8.0', '0.8.5'])
    t.match(judgePgvector(version), { state: 'warn', detail: /0\.8\.6/ }, version)
  for (const version of ['0.8.6', '0.9', '0.10.0', '1.0.0']) t.match(judgePgvector(version), { state: 'ok' }, version)
})

t.test('and it is the version of the extension as installed that counts', { skip: database.isReal }, async (t) => {
  const [{ extversion }] = (await database.db.raw(`select extversion from pg_extension where extname = 'vector'`)).rows
  t.match((await look())['pgvector'], judgePgvector(extversion))
  await database.db.raw(`update pg_extension set extversion = '0.5.1' where extname = 'vector'`)
  t.match((await look())['pgvector'], { state: 'bad', detail: /^0\.5\.1/ })
  await database.db.raw(`update pg_extension set extversion = ? where extname = 'vector'`, [extversion])
})

t.test('other dimensions than the column’s are bad, and both are named', async (t) => {
  const { dimensions } = await look(64)
  t.match(dimensions, { state: 'bad', detail: /halfvec\(32\).*halfvec\(64\)/, hint: /EMBEDDING_DIMENSIONS/ })
})

t.test('a clock that is an hour off is bad, either way', async (t) => {
  const hour = 3_600_000
  const skewed = async (ms: number) => (await look(TEST_DIMENSIONS, { now: () => Date.now() + ms }))['clocks']
  t.match(await skewed(hour), { state: 'bad', detail: /behind/, hint: /NTP/ })
  t.match(await skewed(-hour), { state: 'bad', detail: /ahead/, hint: /NTP/ })
})

t.test('the unique index: invalid, missing, on other columns, with another predicate, or not unique', async (t) => {
  const index = async () => (await look())['unique index']
  const columns = 'tenant_id, source_id, chunk_type, chunk_index'
  const again = async (sql: string) => {
    await database.db.raw('drop index unique_chunk_per_source')
    await database.db.raw(sql)
  }
  if (!database.isReal) {
    const setValid = (valid: boolean) =>
      database.db.raw(
        `update pg_index set indisvalid = ${valid} where indexrelid = 'unique_chunk_per_source'::regclass`,
      )
    await setValid(false)
    t.match(await index(), { state: 'bad', detail: /INVALID/, hint: /migrate/ })
    await setValid(true)
  }
  t.equal((await index())?.state, 'ok')
  await again(`create unique index unique_chunk_per_source on tenant_knowledge (${columns})`)
  t.match(await index(), { state: 'bad', detail: /predicate none/ })
  await again(`create unique index unique_chunk_per_source on tenant_knowledge (${columns}) where chunk_index > 0`)
  t.match(await index(), { state: 'bad', detail: /predicate/ })
  await again('create unique index unique_chunk_per_source on tenant_knowledge (tenant_id, source_id, chunk_index)')
  t.match(await index(), { state: 'bad', detail: /covers/ })
  await again(`create index unique_chunk_per_source on tenant_knowledge (${columns}) where source_id is not null`)
  t.match(await index(), { state: 'bad', detail: /not unique/ })
  await database.db.raw('drop index unique_chunk_per_source')
  t.match(await index(), { state: 'bad', detail: /missing/, hint: /sluice migrate/ })
})

t.test('a pending migration is bad and named, and the tables that it would make are missed', async (t) => {
  await migrateDown(database.db, true)
  const found = await look()
  t.match(found['migrations'], { state: 'bad', detail: /001_knowledge/, hint: /migrate up/ })
  t.match(found['dimensions'], { state: 'bad', detail: /missing/, hint: /migrate up/ })
  t.equal(found['unique index']?.state, 'bad')
})
