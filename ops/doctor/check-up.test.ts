import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import { GONE, examine } from '../testing/examine.ts'
import { TEST_DIMENSIONS, createTestDatabase } from '../testing/database.ts'

const database = await createTestDatabase()
t.teardown(database.close)
const EMBEDDING_DIMENSIONS = String(TEST_DIMENSIONS)

t.test('a migrated database is well, while everything else is away', async (t) => {
  const found = await examine({ DATABASE_URL: database.url, EMBEDDING_DIMENSIONS })
  for (const check of ['postgres', 'migrations', 'unique index', 'dimensions', 'clocks'])
    t.equal(found[check]?.state, 'ok', `${check}: ${found[check]?.detail}`)
  t.match(found['kafka'], { state: 'bad', detail: /127\.0\.0\.1:1: ECONNREFUSED/, hint: /KAFKA_BROKERS/ })
  t.match(found['schema registry'], { state: 'bad', hint: /SCHEMA_REGISTRY_URL/ })
  t.match(found['embeddings'], { state: 'bad', hint: /OPENAI_BASE_URL/ })
})

t.test('what cannot be looked at is neither called good nor blamed', async (t) => {
  const found = await examine({})
  t.match(found['postgres'], { state: 'bad', hint: /DATABASE_URL/ })
  const through = ['topics', 'committed ≤ ledger', 'consumer groups', 'record times', 'migrations', 'unique index']
  for (const check of [...through, 'pgvector', 'dimensions', 'clocks'])
    t.match(found[check], { state: 'warn', detail: /not looked at/, hint: /Mend (kafka|postgres)/ }, check)
})

t.test('a dependency that takes the connection and says nothing hides none of the others', async (t) => {
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
  await new Promise((listening) => silent.once('listening', listening))
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`
  // Before the clients are closed: they would wait for their answers.
  const end = () => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  }
  const variables = { KAFKA_BROKERS: address, SCHEMA_REGISTRY_URL: `http://${address}`, DATABASE_URL: database.url }
  const found = await examine({ ...variables, EMBEDDING_DIMENSIONS, OPENAI_BASE_URL: `http://${address}/v1` })
  end()
  for (const check of ['kafka', 'schema registry', 'embeddings'])
    t.match(found[check], { state: 'bad', detail: /no answer within \d s/, hint: /TLS/ }, check)
  t.equal(found['postgres']?.state, 'ok')
  t.equal(found['unique index']?.state, 'ok')
})

t.test('whatever is wrong comes with what to do', async (t) => {
  for (const { check, state, hint } of Object.values(await examine({ DATABASE_URL: `postgres://u:p@${GONE}/x` })))
    if (state !== 'ok') t.match(hint, /\S/, check)
})
