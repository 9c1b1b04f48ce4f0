/** From URLs to search results, over a real broker, a real registry and a real Postgres wire; then all of it again. */
import t from 'tap'
import type { PageProcessed } from '../schemas/generated/types.ts'
import { stageNames } from '../streams/topology.ts'
import { findPassages } from './commands/search.ts'
import { emitCrawl, watchCrawl } from './crawls.ts'
import { startPipeline } from './pipeline.ts'
import { expectedPages, sampleQuestions, startSampleSite } from './sample-site/site.ts'
import { checksum, expectedRows, storedRows } from './testing/checker.ts'
import { eventually } from './testing/eventually.ts'
import { createWorld } from './testing/world.ts'

t.setTimeout(240_000)
const site = await startSampleSite({})
const world = await createWorld({ allowHosts: site.tenants.map(({ url }) => new URL(url).host), dimensions: 512 })
const { db, admin, services, config, prefix } = world
t.teardown(async () => {
  await world.close()
  await site.close()
})

const start = () => startPipeline(stageNames, { services, observer: {}, onFatal: (error) => t.fail(error.message) })
const processed = async () => {
  const records = await world.readTopic('pages.processed')
  return Promise.all(
    records.map(({ value }) => services.codec.decode('pages.processed', value!) as Promise<PageProcessed>),
  )
}

t.test('three tenants’ sites become searchable, every chunk exactly once', async (t) => {
  const pipeline = await start()
  const crawls = await Promise.all(
    site.tenants.map(async ({ tenant, url }) => ({ tenant, id: await emitCrawl(services, { tenant, urls: [url] }) })),
  )
  for (const { tenant, id } of crawls) {
    const { job } = await eventually(
      `the crawl of ${tenant} is searchable`,
      watchCrawl(services, admin, tenant, id),
      ({ searchable }) => searchable,
      120_000,
    )
    t.equal(job!.failed, 0, `${tenant}: no page failed`)
    const found = await db('sources').where({ tenant_id: tenant, status: 'active' })
    t.equal(found.length, expectedPages[tenant], `${tenant}: ${expectedPages[tenant]} pages are searchable`)
  }
  t.equal(await pipeline.stop(), true, 'drained within its deadline')
  const pages = await processed()
  t.ok(pages.length >= 200, `${pages.length} pages processed`)
  t.strictSame(await storedRows(db), expectedRows(pages, world.chunkerConfig))
  t.strictSame(await world.deadLetters('pages.crawled'), [])
  t.strictSame(await world.deadLetters('pages.processed'), [])
})

t.test('each tenant’s question finds its page, and no other tenant’s', async (t) => {
  for (const { tenant, question, expectedPath } of sampleQuestions) {
    const hits = await findPassages(services, question, { tenant, k: 5 })
    t.match(hits[0]?.url, new RegExp(`${expectedPath}$`), question)
    const own = new URL(site.tenants.find((one) => one.tenant === tenant)!.url).host
    t.ok(
      hits.every(({ url }) => new URL(url).host === own),
      'only its own pages',
    )
  }
})

t.test('the whole topic again from offset 0: no new row, no embedding request, the same table', async (t) => {
  const before = { sum: await checksum(db), requests: world.embeddings.log.length, pages: (await processed()).length }
  for (const [group, topic] of [
    ['sluice.processor', 'pages.crawled'],
    ['sluice.chunker', 'pages.processed'],
  ] as const) {
    const partitions = Array.from({ length: config.partitions! }, (_, partition) => ({ partition, offset: '0' }))
    await admin.setOffsets({ groupId: prefix + group, topic: prefix + topic, partitions })
  }
  const pipeline = await start()
  await world.drained('processor', 120_000)
  await world.drained('chunker', 120_000)
  await pipeline.stop()
  t.ok((await processed()).length >= before.pages * 2 - 1, 'every page went through both stages again')
  t.equal(world.embeddings.log.length, before.requests, 'no embedding request')
  t.equal(await checksum(db), before.sum, 'the same table, to the byte')
})
