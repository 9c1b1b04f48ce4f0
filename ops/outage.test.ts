/** Dependencies go away and come back: partitions that need them pause, others go on, and nothing is skipped. */
import t from 'tap'
import type { Test } from 'tap'
import type { PageProcessed } from '../schemas/generated/types.ts'
import { startPipeline } from './pipeline.ts'
import { createServices } from './services.ts'
import { createLogger } from './logger.ts'
import { expectedRows, storedRows } from './testing/checker.ts'
import { eventually } from './testing/eventually.ts'
import { createPostgresProxy } from './testing/postgres-proxy.ts'
import { crawledPage, processedPage } from './testing/events.ts'
import { createWorld } from './testing/world.ts'

t.setTimeout(180_000)
const world = await createWorld()
const [acme, globex, initech] = world.tenants as [string, string, string]
const { db, config } = world
const proxy = await createPostgresProxy(world.database.url)
const services = createServices({ ...config, postgres: { ...config.postgres, url: proxy.url } }, createLogger('silent'))
await services.producer.connect()
const settled: { stage: string; outcome: string }[] = []
const pauses: string[] = []
const pipeline = await startPipeline(['processor', 'chunker'], {
  services,
  observer: {
    settled: (stage, outcome) => void settled.push({ stage, outcome }),
    paused: (stage, at, reason) => {
      if (reason !== 'offset-guard')
        pauses.push(`${stage} ${at.topic.replace(world.prefix, '')}/${at.partition} ${reason}`)
    },
  },
  onFatal: (error) => t.fail(error.message),
})
t.teardown(async () => {
  await pipeline.stop()
  await services.close()
  await proxy.close()
  await world.close()
})
t.beforeEach(() => {
  settled.length = 0
  pauses.length = 0
})
const outages = () => pipeline.outages().map(({ dependency }) => dependency)
const everything = async () => {
  const records = await world.readTopic('pages.processed')
  return Promise.all(
    records.map(({ value }) => services.codec.decode('pages.processed', value!) as Promise<PageProcessed>),
  )
}
const stored = async (t: Test) =>
  t.strictSame(await storedRows(db), expectedRows(await everything(), world.chunkerConfig))

t.test('while Postgres is away the chunker’s partition stays paused and the processor goes on', async (t) => {
  await world.produce('pages.processed', [processedPage(acme, 'before')])
  await world.drained('chunker')
  proxy.mode = 'refuse'
  proxy.cut()
  await world.produce('pages.processed', [processedPage(acme, 'during-1'), processedPage(acme, 'during-2')])
  await eventually('the chunker sees the outage', outages, (list) => list.includes('postgres'))
  await world.produce('pages.crawled', [crawledPage(globex, 'meanwhile')])
  await world.drained('processor')
  t.ok(
    settled.some(({ stage, outcome }) => stage === 'processor' && outcome === 'emit'),
    'the processor, which needs no Postgres, went on',
  )
  t.ok(pauses.length > 0 && pauses.every((pause) => pause.startsWith('chunker') && pause.endsWith('dependency')))
  proxy.mode = 'pass'
  await world.drained('chunker')
  t.strictSame(outages(), [])
  await stored(t)
  t.strictSame(await world.deadLetters('pages.processed'), [], 'no attempt was used up')
})

t.test('while the embeddings API is away pages that need no vector go on', async (t) => {
  await world.produce('pages.processed', [processedPage(acme, 'old'), processedPage(initech, 'to-go')])
  await world.drained('chunker')
  world.embeddings.setFaults({ next: [{ kind: 'status', status: 503, times: 10_000 }] })
  await world.produce('pages.processed', [processedPage(acme, 'needs-vectors')])
  await eventually('the chunker sees the outage', outages, (list) => list.includes('embeddings'))
  await world.produce('pages.processed', [processedPage(initech, 'to-go', { version: 2n, status: 'GONE', blocks: [] })])
  await eventually(
    'the gone page’s chunks are gone',
    () => db('tenant_knowledge').where({ tenant_id: initech }),
    (rows) => rows.length === 0,
  )
  t.ok(outages().includes('embeddings'), 'the API is still away')
  world.embeddings.setFaults({})
  await world.drained('chunker')
  await stored(t)
  t.strictSame(await world.deadLetters('pages.processed'), [], 'no attempt was used up')
})

t.test('429 with a Retry-After is honoured, and uses up no attempt', async (t) => {
  world.embeddings.setFaults({ next: [{ kind: 'status', status: 429, retryAfter: '2' }] })
  const askedBefore = world.embeddings.log.length
  await world.produce('pages.processed', [processedPage(acme, 'limited')])
  await world.drained('chunker')
  const [refused, served] = world.embeddings.log.slice(askedBefore)
  t.ok(served!.atMs - refused!.atMs >= 2_000, `asked again after ${Math.round(served!.atMs - refused!.atMs)} ms`)
  await stored(t)
})
