import t from 'tap'
import type { PageProcessed } from '../../schemas/generated/types.ts'
import { DependencyUnavailable, StageError } from '../errors.ts'
import type { Outcome } from '../outcome.ts'
import type { PageWrite, SourceState } from '../writes.ts'
import { chunker, CHUNKER_VERSION, configFingerprint } from './chunker.ts'
import type { ChunkerDeps, EmbeddingInput } from './chunker.ts'

const config = { childTokens: 180, parentTokens: 1000, model: 'm', dimensions: 2 }

const page = (over: Partial<PageProcessed> = {}): PageProcessed => ({
  tenant_id: 'acme',
  source_id: '8f8c7c9e-5a57-5d7e-8f5c-111111111111',
  url: 'https://example.org/tea',
  canonical_url: 'https://example.org/tea',
  chunk_type: 'website',
  version: 5n,
  status: 'FETCHED',
  title: 'Tea',
  language: 'en',
  content_hash: 'abc',
  fetched_at: 1n,
  crawl_id: 'c1',
  extractor: 'x',
  extractor_version: 1,
  blocks: [
    { kind: 'HEADING', text: 'Green tea', level: 1, lang: '' },
    { kind: 'PARAGRAPH', text: 'It is steeped at 70 °C.', level: 0, lang: '' },
  ],
  ...over,
})

const stored = (over: Partial<SourceState> = {}): SourceState => ({
  version: 5n,
  extractorVersion: 1,
  contentHash: 'abc',
  chunkerVersion: CHUNKER_VERSION,
  configFingerprint: configFingerprint(config),
  status: 'active',
  ...over,
})

function world(over: Partial<ChunkerDeps> = {}) {
  const bought: EmbeddingInput[] = []
  const deps: ChunkerDeps = {
    readSource: async () => null,
    storedVectors: async () => new Map(),
    embed: async (_tenant, inputs) => {
      bought.push(...inputs)
      return { vectors: inputs.map((_, i) => `[${i},1]`), tokens: 7 }
    },
    config,
    ...over,
  }
  const run = (value: PageProcessed, signal = new AbortController().signal): Promise<Outcome> =>
    chunker.handle({ value, tenantId: 'acme', timestampMs: 0, id: 't/0/1', attempt: 1, signal }, deps)
  return { bought, run }
}

const writeOf = (outcome: Outcome): PageWrite => {
  if (outcome.kind !== 'store' || outcome.write.type !== 'page') throw new Error(`stored nothing: ${outcome.kind}`)
  return outcome.write
}

t.test('a new page is chunked, embedded and stored', async (t) => {
  const { bought, run } = world()
  const write = writeOf(await run(page()))
  t.match(write, { tenantId: 'acme', version: 5n, status: 'active', tokensBought: 7, contentHash: 'abc' })
  t.match(write.rows, [
    { chunkIndex: 0, parentIndex: null, embedding: null },
    { chunkIndex: 1, parentIndex: 0, embedding: '[0,1]', headingPath: ['Green tea'] },
  ])
  t.same(
    bought.map(({ text }) => text),
    ['Tea › Green tea\nIt is steeped at 70 °C.'],
  )
})

t.test('what is stored already is said to be unchanged, and nothing is bought', async (t) => {
  const { bought, run } = world({ readSource: async () => ({ ...stored(), chunkCount: 2 }) })
  const outcome = await run(page())
  t.match(outcome, { kind: 'done', reason: 'unchanged' })
  t.match(outcome.kind === 'done' && outcome.records?.[0], {
    topic: 'knowledge.updated',
    tenantId: 'acme',
    value: { change: 'UNCHANGED', chunks: 2, version: 5n },
  })
  t.equal(bought.length, 0)
})

t.test('an older page, or an older chunker, is stale', async (t) => {
  for (const newer of [stored({ version: 6n }), stored({ chunkerVersion: CHUNKER_VERSION + 1 })])
    t.same(await world({ readSource: async () => newer }).run(page()), { kind: 'done', reason: 'stale' })
})

t.test('a changed configuration is chunked again', async (t) => {
  const { run } = world({ readSource: async () => stored({ configFingerprint: 'other' }) })
  t.equal((await run(page())).kind, 'store')
})

t.test('pages that are gone, empty or without any text are stored without rows', async (t) => {
  const blank = [{ kind: 'PARAGRAPH' as const, text: ' \0 ', level: 0, lang: '' }]
  for (const [over, status] of [
    [{ status: 'GONE' }, 'gone'],
    [{ status: 'EMPTY' }, 'empty'],
    [{ blocks: blank }, 'empty'],
  ] as const) {
    const { bought, run } = world()
    t.match(writeOf(await run(page(over))), { status, rows: [], tokensBought: 0 })
    t.equal(bought.length, 0)
  }
})

t.test('vectors that the tenant has are not bought again', async (t) => {
  const first = writeOf(await world().run(page()))
  const hash = first.rows[1]?.contentHash ?? ''
  const asked: unknown[] = []
  const { bought, run } = world({
    storedVectors: async (tenant, hashes) => {
      asked.push([tenant, ...hashes])
      return new Map([[hash, '[8,8]']])
    },
  })
  const write = writeOf(await run(page({ version: 6n })))
  t.equal(write.rows[1]?.embedding, '[8,8]')
  t.same(asked, [['acme', hash]])
  t.same([bought.length, write.tokensBought], [0, 0])
})

t.test('a chunk that a page repeats is bought once', async (t) => {
  const text = Array.from({ length: 10 }, (_, i) => `Sentence ${i} says that the river is wide and slow today.`).join(
    ' ',
  )
  const { bought, run } = world()
  const blocks = Array.from({ length: 6 }, () => ({ kind: 'PARAGRAPH' as const, text, level: 0, lang: '' }))
  const write = writeOf(await run(page({ blocks })))
  const children = write.rows.filter(({ parentIndex }) => parentIndex !== null)
  t.ok(children.length > 1)
  t.ok(children.every(({ embedding }) => embedding !== null))
  t.equal(bought.length, new Set(children.map(({ contentHash }) => contentHash)).size)
  t.ok(bought.length < children.length)
})

t.test('hash and fingerprint follow model and dimensions', async (t) => {
  const hashes = await Promise.all(
    [config, { ...config, model: 'n' }, { ...config, dimensions: 3 }].map(async (each) =>
      writeOf(await world({ config: each }).run(page())).rows.map(({ contentHash }) => contentHash),
    ),
  )
  t.equal(new Set(hashes.map(([, child]) => child)).size, 3)
  t.not(configFingerprint(config), configFingerprint({ ...config, childTokens: 100 }))
})

t.test('the page’s own failure is an outcome, everybody’s is thrown', async (t) => {
  const failing = (error: Error) => world({ embed: () => Promise.reject(error) }).run(page())
  const poison = new StageError('embedding_rejected', 'no')
  t.same(await failing(poison), { kind: 'reject', error: poison })
  const passing = new StageError('embedding_invalid', 'NaN', { retriable: true })
  t.same(await failing(passing), { kind: 'retry', error: passing })
  await t.rejects(failing(new DependencyUnavailable('embeddings', 'away')), { name: 'DependencyUnavailable' })
})

t.test('too few vectors are never stored', async (t) => {
  const { run } = world({ embed: async () => ({ vectors: [], tokens: 0 }) })
  t.match(await run(page()), { kind: 'retry', error: { code: 'embedding_missing' } })
})

t.test('an aborted record stores nothing', async (t) => {
  const abort = new AbortController()
  const { run } = world({
    storedVectors: async () => {
      abort.abort(new Error('partition lost'))
      return new Map()
    },
  })
  await t.rejects(run(page(), abort.signal), { message: 'partition lost' })
})
