/** Postgres loses its newest rows while a stage runs: a failover to a standby that lagged. */
import t from 'tap'
import { expectedRows, storedRows } from './testing/checker.ts'
import { eventually } from './testing/eventually.ts'
import { processedPage } from './testing/events.ts'
import { createWorld } from './testing/world.ts'
import type { PageProcessed } from '../schemas/generated/types.ts'

t.setTimeout(180_000)
const world = await createWorld({ partitions: 1 })
t.teardown(world.close)
const { db } = world
const produced: PageProcessed[] = []
async function produce(mark: string) {
  const pages = ['a', 'b', 'c'].map((name) => processedPage('acme', `${mark}-${name}`))
  produced.push(...(pages as unknown as PageProcessed[]))
  await world.produce('pages.processed', pages)
}

void t.test('a running stage goes back to what Postgres still has, at its next record', async (t) => {
  const stage = await world.spawnStages(['chunker'])
  await produce('kept')
  await world.drained('chunker')
  const standby = await db('stage_offsets').select()
  await produce('lost')
  await world.drained('chunker')
  const lost = await db<{ id: string; url: string }>('sources').where('url', 'like', '%lost%').pluck('id')
  t.equal(lost.length, 3)
  await db.transaction(async (trx) => {
    await trx('tenant_knowledge').whereIn('source_id', lost).delete()
    await trx('sources').whereIn('id', lost).delete()
    for (const { consumer_group, topic, partition, next_offset } of standby)
      await trx('stage_offsets').where({ consumer_group, topic, partition }).update({ next_offset })
  })

  await produce('after')
  await eventually(
    'all of it is there',
    () => storedRows(db),
    (rows) => rows.length === expectedRows(produced, world.chunkerConfig).length,
  )
  t.strictSame(await storedRows(db), expectedRows(produced, world.chunkerConfig))
  t.match(stage.log(), /going back to the ledger/)
  t.equal(await stage.end('SIGTERM'), 0)
})
