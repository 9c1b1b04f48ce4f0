/** An instance that stands still (SIGSTOP, a paused VM) past its session: another takes over, then the first comes back. */
import t from 'tap'
import type { PageProcessed } from '../schemas/generated/types.ts'
import { expectedRows, storedRows, watchLedger } from './testing/checker.ts'
import { eventually } from './testing/eventually.ts'
import { processedPage } from './testing/events.ts'
import { createPostgresProxy } from './testing/postgres-proxy.ts'
import { createWorld } from './testing/world.ts'

t.setTimeout(240_000)
const world = await createWorld()
const { db, admin, prefix } = world
const proxy = await createPostgresProxy(world.database.url)
t.teardown(async () => {
  await proxy.close()
  await world.close()
})
/** One transaction at a time: an embedded Postgres is one session, and whoever is stopped inside of one holds it up. */
const oneAtATime = { DATABASE_MAX_IN_FLIGHT: '1' }

const produced: PageProcessed[] = []
async function producePages(batch: string, count: number): Promise<void> {
  const pages = Array.from({ length: count }, (_, index) => processedPage(`tenant-${index % 4}`, `${batch}-${index}`))
  produced.push(...(pages as unknown as PageProcessed[]))
  await world.produce('pages.processed', pages)
}
const stored = async () => (await db('sources').where({ status: 'active' })).length
const members = async () => (await admin.describeGroups([`${prefix}sluice.chunker`])).groups[0]!.members.length

t.test(
  'stopped past its session and woken again: nothing lost, nothing doubled, nothing committed early',
  async (t) => {
    const watch = watchLedger(admin, db, prefix)
    const first = await world.spawnStages(['chunker'], { ...oneAtATime, DATABASE_URL: proxy.url })
    // In the middle of its work: what its transaction wrote is not committed in Kafka yet.
    const stopped = Promise.withResolvers<void>()
    const target = 5
    let commits = 0
    proxy.onCommit = (at) => {
      if (at === 'acknowledged') commits += 1
      if (commits < target) return true
      proxy.onCommit = () => true
      first.signal('SIGSTOP')
      stopped.resolve()
      return true
    }
    await producePages('before', 60)
    await stopped.promise
    const second = await world.spawnStages(['chunker'], oneAtATime)
    await producePages('while-stopped', 30)
    await eventually('the other has taken over', stored, (count) => count === 90, 120_000)
    t.equal(await members(), 1, 'the session of the first is over')
    await producePages('after', 30)
    first.signal('SIGCONT')
    await eventually('it is a member again', members, (count) => count === 2)
    await producePages('together', 30)
    await world.drained('chunker', 120_000)
    t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
    t.equal(await stored(), produced.length)
    const { violations, samples } = await watch.stop()
    t.strictSame(violations, [])
    t.ok(samples > 10, `${samples} samples of committed ≤ ledger`)
    for (const one of [first, second]) t.equal(await one.end('SIGTERM'), 0, 'drained and left in order')
  },
)
