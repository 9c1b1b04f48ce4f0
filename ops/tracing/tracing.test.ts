/** One trace from the request of a crawl to the chunks in Postgres, over processes of their own. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../config.ts'
import { emitCrawl } from '../crawls.ts'
import { createLogger } from '../logger.ts'
import { createServices } from '../services.ts'
import { eventually } from '../testing/eventually.ts'
import { startOtlpReceiver } from '../testing/otlp-receiver.ts'
import type { ReceivedSpan } from '../testing/otlp-receiver.ts'
import { createWorld } from '../testing/world.ts'
import { startTracing } from './tracing.ts'

t.setTimeout(240_000)

const pages: Record<string, string> = {
  '/': '<title>Start</title><main><h1>Start</h1><p>The beginning of all things here.</p><a href="/two">two</a></main>',
  '/two': '<title>Two</title><main><h1>Two</h1><p>Descale the machine once a month with citric acid.</p></main>',
}
const site = createServer(({ url = '' }, response) => {
  const page = pages[url]
  response.writeHead(page ? 200 : 404, { 'content-type': 'text/html' }).end(page ?? 'no such page')
})
site.listen(0, '127.0.0.1')
await once(site, 'listening')
const host = `127.0.0.1:${(site.address() as AddressInfo).port}`

const receiver = await startOtlpReceiver()
const world = await createWorld({ allowHosts: [host] })
t.teardown(async () => {
  await world.close()
  await receiver.close()
  site.close()
})
const otel = {
  OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '200',
}

/** A span and all above it, up to the root. */
function pathOf(span: ReceivedSpan): string[] {
  const parent = receiver.spans.find(({ spanId }) => spanId === span.parentSpanId)
  const name = span.name.replace(world.prefix, '')
  return parent ? [...pathOf(parent), name] : [name]
}
const named = (name: string) => receiver.spans.filter((span) => span.name.replace(world.prefix, '') === name)

t.test('the spans of a crawl are one tree, from the request over three processes to the transaction', async (t) => {
  Object.assign(process.env, otel)
  t.teardown(() => Object.keys(otel).forEach((name) => delete process.env[name]))
  const logger = createLogger('silent')
  const tracing = await startTracing(readConfig({ ...world.variables, ...otel }).tracing, logger)
  const services = createServices(world.config, logger, tracing)
  const processes = await Promise.all([
    world.spawnStages(['crawler'], { ...otel, OTEL_SERVICE_NAME: 'the-crawler' }),
    world.spawnStages(['processor'], otel),
    world.spawnStages(['chunker'], otel),
  ])
  const tenant = world.tenants[0]!
  await emitCrawl(services, { tenant, urls: [`http://${host}/`] })
  await eventually(
    'both pages are stored',
    async () => world.db('sources').where({ tenant_id: tenant, status: 'active' }),
    (rows) => rows.length === 2,
    120_000,
  )
  for (const process of processes) t.equal(await process.end('SIGTERM'), 0, 'drained, its spans sent')
  await services.close()

  t.equal(new Set(receiver.spans.map(({ traceId }) => traceId)).size, 1, 'one trace')
  t.strictSame(
    receiver.spans.filter(({ parentSpanId }) => !parentSpanId).map(({ name }) => name.replace(world.prefix, '')),
    ['send crawl.requests'],
    'with one root',
  )
  const ids = new Set(receiver.spans.map(({ spanId }) => spanId))
  t.strictSame(
    receiver.spans.filter(({ parentSpanId }) => parentSpanId && !ids.has(parentSpanId)).map(({ name }) => name),
    [],
    'and nobody whose parent was never sent',
  )
  const toPage = ['send crawl.requests', 'process crawl.requests', 'crawl page']
  const toChunks = [
    ...toPage,
    'send pages.crawled',
    'process pages.crawled',
    'send pages.processed',
    'process pages.processed',
  ]
  const news = named('send knowledge.updated').map(pathOf)
  t.strictSame(
    news,
    [0, 1].map(() => [...toChunks, 'send knowledge.updated']),
    'both pages, to what tells of them',
  )
  t.strictSame(
    named('GET')
      .filter(({ attributes }) => attributes['url.full'] === `http://${host}/two`)
      .map(pathOf),
    [[...toPage, 'GET']],
  )
  for (const request of named('embeddings test-model'))
    t.strictSame(pathOf(request), [...toChunks, 'embed page', 'embeddings test-model'])
  const served = named('embeddings test-model').reduce((sum, { links }) => sum + 1 + links.length, 0)
  t.equal(served, 2, 'a request hangs below one page and is linked with the others')
  const stored = named('transaction').filter((span) => pathOf(span).includes('process pages.processed'))
  t.equal(
    stored.reduce((sum, { links }) => sum + 1 + links.length, 0),
    2,
    'a transaction likewise',
  )

  const [consumed] = named('process pages.processed')
  t.match(consumed!.attributes, {
    'messaging.system': 'kafka',
    'messaging.operation.type': 'process',
    'messaging.destination.name': `${world.prefix}pages.processed`,
    'messaging.destination.partition.id': '0',
    'messaging.consumer.group.name': `${world.prefix}sluice.chunker`,
    'sluice.tenant_id': tenant,
    'sluice.outcome': 'applied',
  })
  t.type(consumed!.attributes['messaging.kafka.offset'], 'number')
  t.equal(consumed!.kind, 5, 'CONSUMER')
  t.equal(consumed!.resource['service.name'], 'sluice')
  t.equal(named('crawl page')[0]!.resource['service.name'], 'the-crawler')
  t.strictSame([...receiver.paths], ['/v1/traces'])
})

t.test('without an endpoint the trace of a record is carried on, through the frontier too', async (t) => {
  const before = receiver.spans.length
  const stages = await world.spawnStages(['crawler', 'processor'])
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' }
  const tenant = world.tenants[1]!
  await world.produceRaw([
    {
      topic: `${world.prefix}crawl.requests`,
      key: tenant,
      value: await world.services.codec.encode('crawl.requests', { tenant_id: tenant, urls: [`http://${host}/two`] }),
      headers: trace,
    },
  ])
  const carried = (topic: string) =>
    eventually(
      `a record of ${topic}`,
      async () => (await world.readTopic(topic)).find(({ key }) => key === tenant),
      (record) => record !== undefined,
      60_000,
    )
  t.match((await carried('pages.crawled'))?.headers, trace)
  t.match((await carried('pages.processed'))?.headers, trace)
  await stages.end('SIGTERM')
  t.equal(receiver.spans.length, before, 'and nobody makes a span')
})

/** Prints what is loaded of the SDK; the API alone is prom-client's too. */
const watcher = `import { registerHooks } from 'node:module'
registerHooks({ resolve: (name, context, next) => {
  if (/^@opentelemetry\\/(?!api)/.test(name) && !context.parentURL?.includes('/node_modules/')) console.log('loaded ' + name)
  return next(name, context)
} })`
const begin = (settings: object) => `
  const { startTracing } = await import('./ops/tracing/tracing.ts')
  await import('./ops/commands/run.ts')
  await (await startTracing(${JSON.stringify(settings)}, { warn: () => {} })).stop()`

t.test('the SDK is loaded when it is wanted, and otherwise no file of it is', async (t) => {
  const loaded = (env: Record<string, string>) =>
    execFileSync(
      process.execPath,
      [
        ...['--import', `data:text/javascript,${encodeURIComponent(watcher)}`],
        ...['--input-type=module', '--eval', begin(readConfig(env).tracing)],
      ],
      { cwd: join(import.meta.dirname, '..', '..'), encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } },
    )
  t.match(loaded(otel), 'loaded @opentelemetry/sdk-trace', 'the watcher sees it')
  t.equal(loaded({}), '')
  t.equal(loaded({ ...otel, OTEL_SDK_DISABLED: 'true' }), '')
  t.equal(loaded({ ...otel, OTEL_TRACES_EXPORTER: 'none' }), '')
  t.equal(loaded({ ...otel, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), '', 'said to the log, and no reason not to start')
})
