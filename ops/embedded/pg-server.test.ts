import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { startPgServer } from './pg-server.ts'

const db = await PGlite.create({ extensions: { vector } })
const server = await startPgServer({
  db,
  host: '127.0.0.1',
  port: 0,
  maxConnections: 12,
  idleInTransactionMs: 30_000,
  onFatal: (answer) => {
    throw new Error(`the engine ended: ${answer.toString('latin1')}`)
  },
})
const url = `postgres://postgres@127.0.0.1:${server.port}/postgres`
t.teardown(async () => {
  await server.stop()
  await db.close()
})

async function connect(t: Test, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...options })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end().catch(() => {}))
  return client
}

const connectMany = (t: Test, count: number) => Promise.all(Array.from({ length: count }, () => connect(t)))

await t.test('concurrent transactions do not interleave', async (t) => {
  const clients = await connectMany(t, 4)
  await clients[0]!.query('create table balances (id int primary key, amount int)')
  await clients[0]!.query('insert into balances values (1, 0)')
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < 10; round += 1) {
        await client.query('begin')
        const { rows } = await client.query('select amount from balances where id = $1 for update', [1])
        await client.query('update balances set amount = $1 where id = 1', [rows[0].amount + 1])
        await client.query(round % 5 === 4 ? 'rollback' : 'commit')
      }
    }),
  )
  t.same((await clients[0]!.query('select amount from balances')).rows, [{ amount: 4 * 8 }])
})

await t.test('select for update holds the others until commit', async (t) => {
  const [first, second] = await connectMany(t, 2)
  const order: string[] = []
  await first!.query('begin')
  await first!.query('select * from balances for update')
  const waits = second!.query('select * from balances for update').then(() => order.push('second'))
  await first!.query('update balances set amount = 7')
  order.push('first')
  await first!.query('commit')
  await waits
  t.same(order, ['first', 'second'])
})

await t.test('large parameters of many clients, split over many packets, reach the right statements', async (t) => {
  const clients = await connectMany(t, 6)
  await Promise.all(
    clients.map(async (client, number) => {
      const large = 'x'.repeat(300_000 + number)
      for (let round = 0; round < 4; round += 1) {
        const { rows } = await client.query(`select ${number} as number, length($1::text) as length`, [large])
        t.same(rows, [{ number, length: large.length }])
      }
    }),
  )
})

await t.test('statements prepared under the same name by several clients are their own', async (t) => {
  const clients = await connectMany(t, 4)
  for (let round = 0; round < 3; round += 1)
    await Promise.all(
      clients.map(async (client, number) => {
        const { rows } = await client.query({
          name: 'same',
          text: `select ${number} as own, $1::int as given`,
          values: [round],
        })
        t.same(rows, [{ own: number, given: round }])
      }),
    )
})

await t.test('a client killed inside a transaction is rolled back, and the others go on', async (t) => {
  const client = await connect(t)
  await client.query('create table notes (text text)')
  const fixture = join(import.meta.dirname, 'fixtures', 'idle-transaction.ts')
  const child = spawn(process.execPath, [fixture, url], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const waiting = client.query('insert into notes values ($1)', ['of the living'])
  child.kill('SIGKILL')
  await waiting
  t.same((await client.query('select text from notes')).rows, [{ text: 'of the living' }])
})

await t.test('a client that goes amid a statement sequence does not hold up the others', async (t) => {
  const [leaver, client] = await connectMany(t, 2)
  const { stream } = (leaver as unknown as { connection: { stream: NodeJS.WritableStream & { destroy(): void } } })
    .connection
  // Parse and Flush: the sequence has begun, its Sync never comes.
  const answered = once(stream as unknown as NodeJS.EventEmitter, 'data')
  stream.write(
    Buffer.concat([Buffer.from('P\0\0\0\x10\0select 1\0\0\0', 'latin1'), Buffer.from('H\0\0\0\x04', 'latin1')]),
  )
  await answered
  stream.destroy()
  t.same((await client!.query('select 2 as two')).rows, [{ two: 2 }])
})

await t.test('an error inside a transaction fails its later statements and commit rolls back', async (t) => {
  const [client, other] = await connectMany(t, 2)
  await client!.query('begin')
  await client!.query('insert into notes values ($1)', ['doomed'])
  await t.rejects(client!.query('select 1 / 0'), { code: '22012' })
  await t.rejects(client!.query('select 1'), { code: '25P02' })
  t.equal((await client!.query('commit')).command, 'ROLLBACK')
  t.same((await other!.query(`select * from notes where text = 'doomed'`)).rows, [])
})

await t.test('settings are a client’s own', async (t) => {
  const started = await connect(t, { statement_timeout: 1_234, options: '-c work_mem=1MB' })
  const setting = await connect(t)
  const plain = await connect(t)
  await setting.query(`set search_path to pg_catalog`)
  const read = async (client: pg.Client) =>
    (
      await client.query(
        `select current_setting('statement_timeout') as timeout, current_setting('work_mem') as memory,
           current_setting('search_path') as path`,
      )
    ).rows[0]
  const path = 'public'
  t.same(await read(plain), { timeout: '0', memory: '4MB', path })
  t.same(await read(started), { timeout: '1234ms', memory: '1MB', path })
  t.same(await read(setting), { timeout: '0', memory: '4MB', path: 'pg_catalog' })
})

await t.test('a setting made in a transaction that is rolled back is gone', async (t) => {
  const [client, other] = await connectMany(t, 2)
  await client!.query('begin')
  await client!.query(`set search_path to pg_catalog`)
  await client!.query('rollback')
  await other!.query('select 1')
  t.same((await client!.query('show search_path')).rows, [{ search_path: 'public' }])
})

await t.test('a role is a client’s own', async (t) => {
  const [reader, owner] = await connectMany(t, 2)
  await owner!.query('create role reader')
  await reader!.query('set role reader')
  await t.rejects(reader!.query('select * from notes'), { code: '42501' })
  await owner!.query('select * from notes')
  await t.rejects(reader!.query('select * from notes'), { code: '42501' })
})

await t.test('an unknown setting refuses the connection with its error', async (t) => {
  const client = await connect(t, { options: '-c no_such_setting=1' })
  await t.rejects(client.query('select 1'), { code: '42704' })
})

await t.test('waiting for another’s transaction ends with lock_timeout', async (t) => {
  const holder = await connect(t)
  const waiter = await connect(t, { lock_timeout: 50 })
  await holder.query('begin')
  await t.rejects(waiter.query('select 1'), { code: '55P03' })
  await holder.query('commit')
  t.same((await waiter.query('select 1 as one')).rows, [{ one: 1 }])
})

await t.test('a client that idles in a transaction past its limit is ended, by startup or SET', async (t) => {
  const other = await connect(t)
  for (const how of ['startup', 'set']) {
    const idler = await connect(t, how === 'startup' ? { idle_in_transaction_session_timeout: 50 } : {})
    if (how === 'set') await idler.query('set idle_in_transaction_session_timeout = 50')
    const ended = once(idler, 'error')
    await idler.query('begin')
    await idler.query('insert into notes values ($1)', [how])
    t.match(((await ended)[0] as Error).message, /idle-in-transaction timeout/)
    t.same((await other.query('select * from notes where text = $1', [how])).rows, [])
  }
})

await t.test('COPY from the client is an error and not the end of the engine', async (t) => {
  const [client, other] = await connectMany(t, 2)
  await t.rejects(client!.query('copy notes from stdin'), { code: '0A000' })
  t.same((await other!.query('select 1 as one')).rows, [{ one: 1 }])
})

await t.test('indexes are created concurrently, and an invalid one is left by a failure', async (t) => {
  const client = await connect(t)
  await client.query('create table doubles (n int)')
  await client.query('insert into doubles values (1), (1), (2)')
  await t.rejects(client.query('create unique index concurrently doubles_n on doubles (n)'), { code: '23505' })
  const valid = async () =>
    (await client.query(`select indisvalid from pg_index where indexrelid = 'doubles_n'::regclass`)).rows
  t.same(await valid(), [{ indisvalid: false }])
  await client.query('drop index concurrently doubles_n')
  await client.query('delete from doubles where n = 1')
  await client.query('create unique index concurrently doubles_n on doubles (n)')
  t.same(await valid(), [{ indisvalid: true }])
})

await t.test('connections beyond the limit are refused with the server’s own code', async (t) => {
  await connectMany(t, 12)
  await t.rejects(connect(t), { code: '53300' })
})

await t.test('bytes that are no protocol end that connection alone', async (t) => {
  const [broken, client] = await connectMany(t, 2)
  const { stream } = (broken as unknown as { connection: { stream: NodeJS.WritableStream } }).connection
  const ended = once(broken!, 'error')
  stream.write(Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff, 0, 0, 0]))
  t.equal(((await ended)[0] as { code?: string }).code, '08P01')
  t.same((await client!.query('select 3 as three')).rows, [{ three: 3 }])
})
