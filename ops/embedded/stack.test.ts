import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { readConfig } from '../config.ts'
import { isAlive, readEndpoints } from './endpoints.ts'
import { startStack } from './stack.ts'
import type { PartProgress } from './stack.ts'

/** Postgres alone: the one part that needs no download and is up in a second. */
const { libDir } = readConfig({})
const parts = ['postgres'] as const

async function query(url: string, sql: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(sql)
  await client.end()
  return rows
}

t.test('a stack says how it comes up, where it answers, and keeps its data over a restart', async (t) => {
  const dataDir = t.testdir()
  const said: PartProgress[] = []
  const first = await startStack({ dataDir, libDir, parts, onProgress: (progress) => said.push(progress) })
  t.same(
    said.map(({ state }) => state).filter((state) => state !== 'downloading'),
    ['starting', 'ready'],
  )
  t.equal(said.at(-1)?.detail, first.endpoints.databaseUrl)
  t.same(readEndpoints(dataDir), { pid: process.pid, ...first.endpoints })
  await query(first.endpoints.databaseUrl!, 'create table kept (n int); insert into kept values (42)')
  await first.stop()
  await first.stop()
  t.notOk(isAlive(first.processes[0]!.pid))
  t.equal(readEndpoints(dataDir), undefined)

  const second = await startStack({ dataDir, libDir, parts })
  t.same(await query(second.endpoints.databaseUrl!, 'select n from kept'), [{ n: 42 }])
  await second.stop()
})

t.test('a second stack on the same folder is refused, and the first one goes on', async (t) => {
  const dataDir = t.testdir()
  const stack = await startStack({ dataDir, libDir, parts })
  await t.rejects(startStack({ dataDir, libDir, parts }), {
    name: 'UserError',
    message: new RegExp(`pid ${process.pid}\\) runs on ${dataDir}`),
  })
  t.same(await query(stack.endpoints.databaseUrl!, 'select 1 as one'), [{ one: 1 }])
  await stack.stop()
})

t.test('a part that dies is reported, and what was committed is there afterwards', async (t) => {
  const dataDir = t.testdir()
  const stack = await startStack({ dataDir, libDir, parts })
  await query(stack.endpoints.databaseUrl!, 'create table kept as select generate_series(1, 1000) as n')
  process.kill(stack.processes[0]!.pid, 'SIGKILL')
  await t.rejects(stack.failed, {
    name: 'UserError',
    message: 'the embedded postgres has ended unexpectedly (signal 9)',
  })
  await stack.stop()
  const again = await startStack({ dataDir, libDir, parts })
  t.same(await query(again.endpoints.databaseUrl!, 'select count(*)::int from kept'), [{ count: 1000 }])
  await again.stop()
})

t.test('a part that cannot start fails the stack with the end of its log and leaves the folder free', async (t) => {
  const dataDir = t.testdir()
  mkdirSync(join(dataDir, 'postgres'))
  writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '12\n')
  const broken = startStack({ dataDir, libDir, parts })
  await t.rejects(broken, {
    message: /postgres ended while starting \(exit code 1\)/,
    hint: /postgres\.log:\n.*(version|failed to initialize)/s,
  })
  await t.rejects(startStack({ dataDir, libDir, parts }), { message: /ended while starting/ })
})

t.test('a port that is taken is named', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const busy = startStack({ dataDir: t.testdir(), libDir, parts, ports: { postgres: port } })
  await t.rejects(busy, { name: 'UserError', message: new RegExp(`port ${port} `) })
  server.close()
})

t.test('a data folder that cannot be made is an error that names it', async (t) => {
  const dataDir = join(t.testdir({ file: '' }), 'file', 'data')
  await t.rejects(startStack({ dataDir, libDir, parts }), {
    name: 'UserError',
    message: new RegExp(`the data folder ${dataDir} cannot be used`),
    hint: /SLUICE_DATA_DIR/,
  })
})

t.test('without Java nothing is started and nothing is written', async (t) => {
  const dataDir = join(t.testdir({ bin: {} }), 'data')
  const path = process.env.PATH
  process.env.PATH = join(t.testdirName, 'bin')
  t.teardown(() => (process.env.PATH = path))
  await t.rejects(startStack({ dataDir, parts: ['postgres', 'kafka'] }), { message: /no `java`/ })
  t.notOk(existsSync(dataDir))
})
