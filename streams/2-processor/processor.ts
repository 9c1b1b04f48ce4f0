/** Stage 2: a crawled page becomes blocks of its main content. */
import type { PageCrawled, PageProcessed } from '../../schemas/generated/types.ts'
import { MAX_PAGE_BYTES } from '../../schemas/topics.ts'
import { StageError } from '../errors.ts'
import type { InputRecord, Outcome, Stage } from '../outcome.ts'
import { sourceId } from '../source-id.ts'
import { contentHash } from './content-hash.ts'
import { formatOf } from './content-type.ts'
import { EXTRACTOR, EXTRACTOR_VERSION, type ExtractInput, type Extracted } from './extract.ts'

export interface ProcessorDeps {
  /** @throws StageError when the page cannot be read within its limits. */
  readonly extract: (input: ExtractInput, signal: AbortSignal) => Promise<Extracted>
}

export const processor: Stage<PageCrawled, ProcessorDeps> = {
  orderKey: (page) => page.canonical_url || page.url,

  handle: async (record, deps) => {
    const page = record.value
    const problem = problemOf(page)
    if (problem) return { kind: 'reject', error: problem }
    if (page.status === 'GONE') return emit({ ...envelope(record), status: 'GONE' })
    try {
      const input = { body: page.body, contentType: page.content_type, url: page.url }
      const { title, language, blocks, empty } = await deps.extract(input, record.signal)
      const status = empty ? 'EMPTY' : 'FETCHED'
      const content_hash = contentHash(title, blocks)
      return emit({ ...envelope(record), status, title, language, blocks, content_hash })
    } catch (error) {
      if (!(error instanceof StageError)) throw error
      return { kind: error.retriable ? 'retry' : 'reject', error }
    }
  },
}

function problemOf({ tenant_id, url, canonical_url, status, body, content_type }: PageCrawled): StageError | undefined {
  if (tenant_id === '') return new StageError('tenant_missing', 'tenant_id is empty')
  if (!URL.canParse(url)) return new StageError('url_invalid', `url is no absolute URI: ${url.slice(0, 200)}`)
  if (canonical_url !== '' && !URL.canParse(canonical_url))
    return new StageError('url_invalid', `canonical_url is no absolute URI: ${canonical_url.slice(0, 200)}`)
  if (status === 'GONE') return undefined
  if (body.length > MAX_PAGE_BYTES)
    return new StageError('page_too_large', `body has ${body.length} bytes, the limit is ${MAX_PAGE_BYTES}`)
  if (formatOf(content_type) === undefined)
    return new StageError('content_type_unsupported', `cannot read ${content_type.slice(0, 100) || 'an empty type'}`)
  return undefined
}

/** Everything but the content; zeros of the contract are resolved to the record's timestamp here. */
function envelope({ value: page, timestampMs }: InputRecord<PageCrawled>): PageProcessed {
  const canonicalUrl = page.canonical_url || page.url
  const recordedAt = BigInt(Math.trunc(timestampMs)) * 1000n
  return {
    tenant_id: page.tenant_id,
    source_id: sourceId(page.tenant_id, canonicalUrl),
    url: page.url,
    canonical_url: canonicalUrl,
    chunk_type: page.chunk_type,
    version: page.version || recordedAt,
    status: 'FETCHED',
    title: '',
    language: '',
    content_hash: '',
    fetched_at: page.fetched_at || recordedAt,
    crawl_id: page.crawl_id,
    extractor: EXTRACTOR,
    extractor_version: EXTRACTOR_VERSION,
    blocks: [],
  }
}

const emit = (value: PageProcessed): Outcome => ({
  kind: 'emit',
  records: [{ topic: 'pages.processed', tenantId: value.tenant_id, value }],
})
