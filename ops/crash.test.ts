/** Real processes, real broker, a real Postgres wire: the chunker is killed at the worst moments. */
import t from 'tap'
import type { PageProcessed } from '../schemas/generated/types.ts'
import { checksum, expectedRows, storedRows, watchLedger } from './testing/checker.ts'
import { eventually } from './testing/eventually.ts'
import { createPostgresProxy } from './testing/postgres-proxy.ts'
import type { CommitPoint } from './testing/postgres-proxy.ts'
import { processedPage } from './testing/events.ts'
import { createWorld } from './testing/world.ts'
import { stageLag } from './lag/offsets.ts'

t.setTimeout(240_000)
const world = await createWorld()
const { db, admin, prefix } = world
const proxy = await createPostgresProxy(world.database.url)
t.teardown(async () => {
  await proxy.close()
  await world.close()
})

const throughProxy = { DATABASE_URL: proxy.url }
const produced: PageProcessed[] = []
let batch = 0

async function producePages(count: number): Promise<void> {
  batch += 1
  const pages = Array.from({ length: count }, (_, index) => processedPage(`tenant-${index % 4}`, `${batch}-${index}`))
  produced.push(...(pages as unknown as PageProcessed[]))
  await world.produce('pages.processed', pages)
}

async function killAt(point: CommitPoint, which: number): Promise<void> {
  const victim = await world.spawnStages(['chunker'], throughProxy)
  const killed = Promise.withResolvers<void>()
  const from = { count: 0 }
  proxy.onCommit = (at, count) => {
    from.count ||= count
    if (at !== point || count - from.count + 1 < which) return true
    proxy.onCommit = () => true
    victim.signal('SIGKILL')
    killed.resolve()
    return point === 'acknowledged'
  }
  await producePages(30)
  await killed.promise
  await victim.end('SIGKILL')
}

/** A healthy chunker finishes what the dead one left. */
async function recover(): Promise<void> {
  const healthy = await world.spawnStages(['chunker'], throughProxy)
  await world.drained('chunker', 90_000)
  t.equal(await healthy.end('SIGTERM'), 0, 'drained and left in order')
}

const committed = async () =>
  (await stageLag(admin, 'chunker', prefix)).reduce((sum, row) => sum + (row.committed ?? 0n), 0n)
/** Pages that have rows; offsets start at 0, so the sum of committed offsets is a number of pages too. */
const storedPages = async () => BigInt((await db('sources').where({ status: 'active' })).length)
const ledgerSum = async () => {
  const { rows } = await db.raw(
    'select coalesce(sum(next_offset), 0) as sum from stage_offsets where consumer_group = ?',
    [`${prefix}sluice.chunker`],
  )
  return BigInt(rows[0].sum)
}

t.test('SIGKILL in the middle of a batch: nothing lost, nothing doubled', async (t) => {
  const watch = watchLedger(admin, db, prefix)
  await killAt('before', 2)
  await recover()
  t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
  const { violations, samples } = await watch.stop()
  t.strictSame(violations, [])
  t.ok(samples > 10, `${samples} samples of committed ≤ ledger`)
})

t.test('SIGKILL between COMMIT and its acknowledgement: nothing lost, nothing doubled', async (t) => {
  const watch = watchLedger(admin, db, prefix)
  await killAt('executed', 1)
  t.ok((await storedPages()) > (await committed()), 'the rows were committed and their offsets were not')
  await recover()
  t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
  t.strictSame((await watch.stop()).violations, [])
})

t.test('SIGKILL between the insert and the offset commit: nothing lost, nothing doubled', async (t) => {
  const watch = watchLedger(admin, db, prefix)
  await killAt('acknowledged', 1)
  t.ok((await storedPages()) > (await committed()), 'the rows were committed and their offsets were not')
  await recover()
  t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
  t.strictSame((await watch.stop()).violations, [])
})

t.test('a member that joins and one that is killed in the middle: nothing lost, nothing doubled', async (t) => {
  const watch = watchLedger(admin, db, prefix)
  const first = await world.spawnStages(['chunker'], throughProxy)
  await producePages(60)
  const [second] = await Promise.all([world.spawnStages(['chunker'], throughProxy), producePages(60)])
  await eventually('the ledger moves', ledgerSum, (sum) => sum > 100n)
  await first.end('SIGKILL')
  await world.drained('chunker', 90_000)
  t.equal(await second.end('SIGTERM'), 0)
  t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
  t.strictSame((await watch.stop()).violations, [])
})

t.test('the group’s offsets are deleted: it goes on from the ledger, and nothing changes', async (t) => {
  const before = { sum: await checksum(db), requests: world.embeddings.log.length }
  const group = `${prefix}sluice.chunker`
  await eventually(
    'the killed member’s session has ended',
    async () => (await admin.describeGroups([group])).groups[0]?.state,
    (state) => state === 'Empty',
  )
  await admin.deleteGroups([group])
  const healthy = await world.spawnStages(['chunker'])
  await producePages(3)
  await eventually(
    'the new pages are stored',
    () => storedRows(db),
    (rows) => rows.length === expectedRows(produced, world.chunkerConfig).length,
  )
  await healthy.end('SIGTERM')
  t.equal(world.embeddings.log.length > before.requests, true, 'new pages were bought')
  t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
})
