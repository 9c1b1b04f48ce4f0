/** The console over a real broker and database, and stages of this process: what it says is so, what it does happens. */
import t from 'tap'
import { startPipeline } from '../pipeline.ts'
import { createDeadLetters } from '../dlq/dead-letters.ts'
import { createLagSource } from '../lag/source.ts'
import { createStatus } from '../status.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import { eventually } from '../testing/eventually.ts'
import { createWorld } from '../testing/world.ts'
import { createActions } from './api.ts'
import { createSources } from './sources.ts'
import { createTenantMeter } from './tenant-meter.ts'

t.setTimeout(240_000)
const world = await createWorld({ partitions: 2 })
const { services, tenants } = world
const meter = createTenantMeter(systemClock)
const pipeline = await startPipeline(['processor', 'chunker'], {
  services,
  observer: { settled: meter.settled },
  onFatal: (error) => t.fail(error),
})
const lag = createLagSource(services, { cacheMs: 0 })
const deadLetters = createDeadLetters(services)
const status = createStatus(() => pipeline.stages, services.throttle)
const sources = createSources({ services, status, tenants: meter, lag, deadLetters })
const actions = createActions(sources)
const act = (path: string, body: object) => actions.get(path)!.run(body, new AbortController().signal)
t.teardown(async () => {
  await sources.jobs.close()
  await pipeline.stop()
  await Promise.all([lag.close(), deadLetters.close()])
  await world.close()
})

const page = (tenant: string, n: number) => ({
  ...{ tenant_id: tenant, url: `https://x.example/${n}`, content_type: 'text/markdown' },
  body: Buffer.from(`# Page ${n}\n\nSome words about pumps, number ${n}.`),
})
const figures = () => sources.figures() as { pauses: object[]; limits: object[] }

t.test('a pause by the console holds the stage, is shown with its reason, and ends with the resume', async (t) => {
  await act('/api/pause', { stage: 'chunker', reason: 'a test', by: 'Ada' })
  t.match(figures().pauses, [{ stage: 'chunker', reason: 'a test', by: 'Ada (console)' }])
  await world.produce('pages.crawled', [page(tenants[0]!, 1), page(tenants[1]!, 2)])
  const held = await eventually(
    'both pages wait for the chunker, paused',
    async () => (await sources.lag()).filter((row) => row.stage === 'chunker' && row.lag > 0),
    (rows) => rows.length === 2 && rows.every(({ state }) => state === 'paused'),
  )
  t.match(held[0]!.reasons, ['operator'])
  t.same(await act('/api/resume', { stage: 'chunker' }), { lifted: true })
  t.same(await act('/api/resume', { stage: 'chunker' }), { lifted: false }, 'a second time there is nothing to lift')
  await world.drained('chunker')
  t.match(figures().pauses, [])
  t.match(
    (await sources.tenants()).find(({ tenant }) => tenant === tenants[0]),
    { perSecond: { chunker: Number, processor: Number }, failures: 0 },
  )
})

t.test('a partition that there is not cannot be paused, nor a limit be meaningless', async (t) => {
  await t.rejects(act('/api/pause', { stage: 'chunker', partition: 2 }), { message: /no partition 2/, hint: /0 to 1/ })
  await t.rejects(act('/api/limit', { resource: 'embeddings', inFlight: 'many' }), {
    message: /must be a whole number/,
  })
  await act('/api/limit', { resource: 'embeddings', requestsPerMinute: '600', tenant: tenants[0] })
  t.match(figures().limits, [{ budget: 'embedding_requests', tenant: tenants[0], value: 10 }])
  await act('/api/limit', { resource: 'embeddings', requestsPerMinute: 'off', tenant: tenants[0] })
  t.match(figures().limits, [])
})

t.test('a dead letter is listed with its page, redriven once, and discarded with its reason', async (t) => {
  const evil = '<img src=x onerror=alert(1)>'
  const value = await services.codec.encode('pages.crawled', {
    ...page('somebody', 3),
    url: `https://x.example/${evil}`,
  })
  await world.produceRaw([{ topic: `${world.prefix}pages.crawled`, key: 'another', value }])
  const port = sources.deadLetters!
  const { rows, total } = await eventually('there is a dead letter', port.list, (seen) => seen.total === 1)
  t.equal(total, 1)
  t.match(rows, [
    {
      topic: 'pages.crawled',
      tenant: 'another',
      code: 'tenant_mismatch',
      url: `https://x.example/${evil}`,
      state: 'open',
    },
  ])
  const id = `${rows[0]!.partition}/${rows[0]!.offset}`
  t.match(await port.show('pages.crawled', id), { code: 'tenant_mismatch', value: { kind: 'decoded' } })
  await act('/api/dead-letters/redrive', { topic: 'pages.crawled', ids: [id], by: 'Ada' })
  await eventually(
    'the redrive is over',
    () => sources.jobs.list(),
    ([job]) => job?.state === 'done',
  )
  t.match(sources.jobs.list()[0]!.detail, /^1 redriven/)
  const again = await eventually('it has failed again', port.list, (seen) => seen.rows.some(({ cycle }) => cycle === 1))
  const { partition, offset } = again.rows.find(({ cycle }) => cycle === 1)!
  await act('/api/dead-letters/discard', {
    topic: 'pages.crawled',
    ids: [`${partition}/${offset}`],
    reason: 'made by hand',
  })
  await eventually('none is open', port.list, (seen) => seen.total === 0 && seen.rows.length === 0)
  await t.rejects(act('/api/dead-letters/redrive', { topic: 'pipeline.control' }), { message: /no dead letters/ })
})

t.test('a dry run tells what a replay would do; the replay does it and is listed', async (t) => {
  const plan = await act('/api/replays/plan', { stage: 'chunker', from: 'beginning' })
  t.match(plan, { records: 2, pagesChanged: 0, embeddingTokens: 0 })
  t.same(await sources.replays!.list(), [])
  await act('/api/replays/start', { stage: 'chunker', from: 'beginning' })
  const [row] = await eventually('the replay is done', sources.replays!.list, ([first]) => first?.state === 'done')
  t.match(row, { stage: 'chunker', done: 2, total: 2, cancellable: false, what: /^beginning to now/ })
  await t.rejects(act('/api/replays/cancel', { id: row!.id }), { message: /is done already/ })
  await t.rejects(act('/api/replays/plan', { stage: 'chunker', from: 'yesterday' }), { name: 'UserError' })
})

t.test('a crawl that is started is asked for, and listed once a crawler has taken it', async (t) => {
  await t.rejects(act('/api/crawl', { tenant: 'acme', urls: ['ftp://x'] }), { message: /not an http/ })
  await act('/api/crawl', { tenant: 'acme', urls: ['https://x.example/'], maxPages: 5 })
  t.equal((await world.readTopic('crawl.requests')).length, 1)
  await world
    .db('crawl_jobs')
    .insert({ tenant_id: 'acme', id: 'c1', chunk_type: 'website', max_pages: 5, max_depth: 1, admitted: 4, fetched: 1 })
  t.match(await sources.crawls.list(), [
    { tenant: 'acme', id: 'c1', status: 'running', admitted: 4, createdMs: Number },
  ])
  t.match(
    (await sources.tenants()).find(({ tenant }) => tenant === 'acme'),
    { runningCrawls: 1, pendingUrls: 3 },
  )
  t.same(await sources.crawls.detail('acme', 'c1'), { reasons: {}, urls: [] })
})
