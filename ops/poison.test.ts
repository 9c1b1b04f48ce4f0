/** Records that can never succeed: one dead letter each, with the original bytes, and unharmed neighbours. */
import t from 'tap'
import { MAX_PAGE_BYTES } from '../schemas/topics.ts'
import { createLogger } from './logger.ts'
import { startPipeline } from './pipeline.ts'
import { createServices } from './services.ts'
import { crawledPage, processedPage } from './testing/events.ts'
import { createWorld } from './testing/world.ts'

t.setTimeout(240_000)
const world = await createWorld({ partitions: 1 })
const { services, db, prefix } = world
t.teardown(world.close)

interface Poison {
  readonly name: string
  readonly code: string
  readonly key: string
  readonly value: Buffer | null
}
const encode = (value: object) => services.codec.encode('pages.crawled', value)
const good = crawledPage('acme', 'poison')
/** A valid envelope whose schema id nobody has registered. */
const unknownId = Buffer.from(await encode(good))
unknownId.writeInt32BE(2_000_000_000, 1)
const truncated = (await encode(good)).subarray(0, 12)

const poison: Poison[] = [
  { name: 'no wire format', code: 'undecodable', key: 'acme', value: Buffer.from('{"tenant_id":"acme"}') },
  { name: 'unknown schema id', code: 'unknown_schema_id', key: 'acme', value: unknownId },
  { name: 'cut short', code: 'undecodable', key: 'acme', value: truncated },
  { name: 'no value', code: 'empty_value', key: 'acme', value: null },
  { name: 'another tenant’s key', code: 'tenant_mismatch', key: 'globex', value: await encode(good) },
  { name: 'no URL', code: 'url_invalid', key: 'acme', value: await encode({ ...good, url: 'not a url' }) },
  {
    name: 'an image',
    code: 'content_type_unsupported',
    key: 'acme',
    value: await encode({ ...good, content_type: 'image/png' }),
  },
  {
    name: 'too large',
    code: 'page_too_large',
    key: 'acme',
    value: await encode({ ...good, body: Buffer.alloc(MAX_PAGE_BYTES + 1, 'a ') }),
  },
]

t.test('each poison record becomes one dead letter with its original bytes; its neighbours are stored', async (t) => {
  const pipeline = await startPipeline(['processor', 'chunker'], {
    services,
    observer: {},
    onFatal: (error) => t.fail(error.message),
  })
  for (const [index, { key, value }] of poison.entries()) {
    await world.produceRaw([{ topic: `${prefix}pages.crawled`, key, value }])
    await world.produce('pages.crawled', [crawledPage('acme', `neighbour-${index}`)])
  }
  await world.drained('processor', 90_000)
  await world.drained('chunker')
  await pipeline.stop()
  const letters = await world.deadLetters('pages.crawled')
  t.equal(letters.length, poison.length, 'one dead letter each')
  for (const { name, code, key, value } of poison) {
    const letter = letters.find((one) => (value === null ? one.value === null : one.value?.equals(value)))
    t.equal(letter?.headers['sluice-error-code'], code, name)
    t.equal(letter?.key, key, `${name}: original key`)
    t.equal(letter?.headers['sluice-origin-topic'], `${prefix}pages.crawled`, `${name}: origin`)
  }
  const active = await db('sources').where({ tenant_id: 'acme', status: 'active' })
  t.equal(active.length, poison.length, 'every neighbour is stored')
})

t.test('an input that the embeddings API refuses costs its own page only', async (t) => {
  world.embeddings.setFaults({ rejectText: 'FORBIDDEN' })
  const bad = processedPage('acme', 'refused')
  bad.blocks[1]!.text = `FORBIDDEN ${bad.blocks[1]!.text}`
  await world.produce('pages.processed', [processedPage('acme', 'fine-1'), bad, processedPage('acme', 'fine-2')])
  const pipeline = await startPipeline(['chunker'], {
    services,
    observer: {},
    onFatal: (error) => t.fail(error.message),
  })
  await world.drained('chunker', 90_000)
  await pipeline.stop()
  const letters = await world.deadLetters('pages.processed')
  t.match(letters, [{ headers: { 'sluice-error-code': 'embedding_rejected' } }])
  const urls = (await db('sources').whereLike('url', '%/fine-%').orderBy('url')).map(({ url }) => url)
  t.strictSame(urls, ['https://acme.example/fine-1', 'https://acme.example/fine-2'])
})

t.test('a failing record is retried after each delay and then dead-lettered, once', async (t) => {
  const hasty = createServices(
    { ...world.config, runtime: { ...world.config.runtime, retryDelaysMs: [50, 100] } },
    createLogger('silent'),
  )
  t.teardown(hasty.close)
  const askedBefore = world.embeddings.log.length
  world.embeddings.setFaults({ next: [{ kind: 'nan', times: 3 }] })
  const page = processedPage('acme', 'unusable-vectors', { paragraphs: 1 })
  await world.produce('pages.processed', [page])
  const pipeline = await startPipeline(['chunker'], {
    services: hasty,
    observer: {},
    onFatal: (error) => t.fail(error.message),
  })
  await world.drained('chunker', 90_000)
  await pipeline.stop()
  const letters = (await world.deadLetters('pages.processed')).filter(
    ({ headers }) => headers['sluice-error-code'] === 'embedding_invalid',
  )
  t.match(letters, [{ headers: { 'sluice-attempt': '3' } }], 'one dead letter, after three attempts')
  t.equal(world.embeddings.log.length - askedBefore, 3, 'three requests')
  const retries = await world.readTopic('pages.processed.retry')
  t.strictSame(
    retries.map(({ headers }) => headers['sluice-attempt']),
    ['2', '3'],
  )
  t.ok(letters[0]!.value!.equals(await services.codec.encode('pages.processed', page)), 'with the original bytes')
})
