import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { readConfig } from '../config.ts'
import { isAlive } from './endpoints.ts'
import { startRealPostgres } from './real-postgres.ts'

async function query(url: string, sql: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}

t.test('a real PostgreSQL with pgvector that survives SIGKILL of all its processes', async (t) => {
  const { libDir } = readConfig({})
  const server = await startRealPostgres({ dataDir: join(t.testdir(), 'postgres'), libDir })
  t.teardown(server.stop)
  await query(server.url, 'create extension vector; create table kept (v vector(3))')
  await query(server.url, `insert into kept values ('[1,2,3]')`)
  const before = await server.pids()
  t.ok(before.length > 1)
  await server.kill()
  t.notOk(isAlive(before[0]!))
  await server.restart()
  t.not(server.pid(), before[0])
  t.same(await query(server.url, 'select v::text from kept'), [{ v: '[1,2,3]' }])
  t.match((await query(server.url, 'show server_version'))[0]?.server_version, /^16\./)
  const last = server.pid()
  await server.stop()
  t.notOk(isAlive(last))
})
