import t from 'tap'
import type { PageCrawled, PageProcessed } from '../../schemas/generated/types.ts'
import { MAX_PAGE_BYTES } from '../../schemas/topics.ts'
import { StageError } from '../errors.ts'
import type { InputRecord } from '../outcome.ts'
import { sourceId } from '../source-id.ts'
import { extract } from './extract.ts'
import { processor } from './processor.ts'

const crawled = (changes: Partial<PageCrawled> = {}): PageCrawled => ({
  tenant_id: 'acme',
  url: 'https://a.example/tea?x=1',
  body: Buffer.from('# Tea\n\nTwo minutes.'),
  content_type: 'text/markdown',
  chunk_type: 'manual',
  version: 0n,
  status: 'FETCHED',
  canonical_url: '',
  fetched_at: 0n,
  http_status: 200,
  etag: '',
  last_modified: '',
  crawl_id: 'c1',
  depth: 0,
  ...changes,
})
const record = (value: PageCrawled): InputRecord<PageCrawled> => ({
  value,
  tenantId: value.tenant_id,
  timestampMs: 1_700_000_000_123,
  id: 'pages.crawled/0/7',
  attempt: 1,
  signal: new AbortController().signal,
})
const deps = { extract: async (input: Parameters<typeof extract>[0]) => extract(input) }
const handle = (changes: Partial<PageCrawled>, ports = deps) => processor.handle(record(crawled(changes)), ports)
const processed = async (changes: Partial<PageCrawled>) => {
  const outcome = await handle(changes)
  if (outcome.kind !== 'emit') throw new Error(`${outcome.kind}: ${JSON.stringify(outcome)}`)
  t.match(outcome.records, [{ topic: 'pages.processed', tenantId: 'acme' }])
  return outcome.records[0]?.value as PageProcessed
}

t.test('a page becomes one record of its blocks; zeros become the time of the record', async (t) => {
  t.match(await processed({}), {
    tenant_id: 'acme',
    source_id: sourceId('acme', 'https://a.example/tea?x=1'),
    canonical_url: 'https://a.example/tea?x=1',
    chunk_type: 'manual',
    version: 1_700_000_000_123_000n,
    fetched_at: 1_700_000_000_123_000n,
    status: 'FETCHED',
    title: 'Tea',
    crawl_id: 'c1',
    content_hash: /^[0-9a-f]{64}$/,
    blocks: [{ kind: 'HEADING' }, { kind: 'PARAGRAPH', text: 'Two minutes.' }],
  })
})

t.test('the canonical URL is the identity and the order', async (t) => {
  const canonical_url = 'https://a.example/tea'
  const page = await processed({ canonical_url, version: 5n, fetched_at: 6n })
  t.match(page, { source_id: sourceId('acme', canonical_url), version: 5n, fetched_at: 6n })
  t.equal(processor.orderKey(crawled({ canonical_url })), canonical_url)
  t.equal(processor.orderKey(crawled()), 'https://a.example/tea?x=1')
})

t.test('gone and empty pages travel on, without blocks', async (t) => {
  t.match(await processed({ status: 'GONE', body: Buffer.alloc(0), content_type: '' }), { status: 'GONE', blocks: [] })
  t.match(await processed({ body: Buffer.from(' ') }), { status: 'EMPTY', blocks: [], content_hash: /^[0-9a-f]{64}$/ })
})

t.test('what can never be read is rejected with a stable code', async (t) => {
  const cases: [Partial<PageCrawled>, string][] = [
    [{ tenant_id: '' }, 'tenant_missing'],
    [{ url: '/tea' }, 'url_invalid'],
    [{ canonical_url: 'tea' }, 'url_invalid'],
    [{ body: Buffer.alloc(MAX_PAGE_BYTES + 1) }, 'page_too_large'],
    [{ content_type: 'application/pdf' }, 'content_type_unsupported'],
    [{ content_type: '' }, 'content_type_unsupported'],
  ]
  for (const [changes, code] of cases) t.match(await handle(changes), { kind: 'reject', error: { code } }, code)
})

t.test('failures of the port: final ones reject, others retry, unknown ones throw', async (t) => {
  const failing = (error: Error) => ({ extract: () => Promise.reject(error) })
  const timeout = new StageError('extract_timeout', 'too slow')
  t.match(await handle({}, failing(timeout)), { kind: 'reject', error: { code: 'extract_timeout' } })
  const died = new StageError('extract_failed', 'worker died', { retriable: true })
  t.match(await handle({}, failing(died)), { kind: 'retry', error: { code: 'extract_failed' } })
  await t.rejects(handle({}, failing(new Error('aborted'))), { message: 'aborted' })
})
