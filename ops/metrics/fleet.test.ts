/** What Postgres is asked at a scrape, on a real one. */
import t from 'tap'
import { createReplays } from '../../connectors/postgres/replays.ts'
import type { LagRow } from '../lag/rows.ts'
import { createMetrics } from '../metrics.ts'
import { createTestDatabase } from '../testing/database.ts'

const { db, close } = await createTestDatabase()
t.teardown(close)

const row = (partition: number, committed: number | null): LagRow => ({
  ...{ stage: 'chunker', group: 'x.sluice.chunker', topic: 'x.pages.processed', partition, committed, end: 20, lag: 0 },
  ...{ oldestAgeMs: null, state: 'running', reasons: [], etaMs: 0 },
})
const metrics = createMetrics()
let rows: LagRow[] = []
metrics.follow({ fleet: { lag: async () => rows, deadLetters: async () => [], db } })
const read = async (series: string) => {
  const line = (await metrics.text()).split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.split(' ').at(-1))
}

t.test('committed offsets are held against the ledger, partition by partition', async (t) => {
  const ledger = (partition: number, next: string | null) => ({
    ...{ consumer_group: 'x.sluice.chunker', topic: 'x.pages.processed', partition, epoch: 1, owner: 'a' },
    next_offset: next,
  })
  await db('stage_offsets').insert([ledger(0, '5'), ledger(1, '5'), ledger(2, null)])
  const beyond = 'sluice_offsets_beyond_ledger_partitions{stage="chunker"}'
  rows = [row(0, 5), row(1, 4), row(2, null)]
  t.equal(await read(beyond), 0, 'up to it, below it, and nothing yet')
  rows = [row(0, 6), row(1, 4), row(2, 1)]
  t.equal(await read(beyond), 2)
})

t.test('a running replay tells how far it is; one that is over is gone', async (t) => {
  const replays = createReplays(db)
  const ranges = new Map([
    [0, { from: 0n, to: 30n }],
    [1, { from: 100n, to: 110n }],
  ])
  const wish = { tenant: null } as unknown as Parameters<typeof replays.unfinished>[1]
  await replays.create({ id: 'r', stage: 'chunker', group: 'g', wish, owner: 'a', ranges, handedOver: false })
  await db('replay_partitions').where({ replay_id: 'r', partition: 0 }).update({ next_offset: '10' })
  t.equal(await read('sluice_replays_running{stage="chunker"}'), 1)
  t.equal(await read('sluice_replay_remaining_records{stage="chunker"}'), 30)
  t.equal(await read('sluice_replay_progress_ratio{stage="chunker"}'), 0.25)
  t.ok((await read('sluice_replay_heartbeat_age_seconds{stage="chunker"}'))! < 60)
  await replays.end('r', 'done')
  t.equal(await read('sluice_replays_running{stage="chunker"}'), undefined)
})

t.test('the unique index is valid until it is gone', async (t) => {
  t.equal(await read('sluice_unique_index_valid'), 1)
  const { rows: found } = await db.raw<{ rows: { name: string }[] }>(
    `select indexrelid::regclass::text as name from pg_index join pg_class c on c.oid = indrelid
     where c.relname = 'tenant_knowledge' and indisunique and not indisprimary`,
  )
  for (const { name } of found) {
    await db.raw(`alter table tenant_knowledge drop constraint if exists ${name}`)
    await db.raw(`drop index if exists ${name}`)
  }
  t.equal(await read('sluice_unique_index_valid'), 0)
})
