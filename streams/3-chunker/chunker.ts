/** Stage 3: a processed page → its chunks with their vectors, of which only those that are new are bought. */
import type { KnowledgeUpdated, PageProcessed } from '../../schemas/generated/types.ts'
import { StageError } from '../errors.ts'
import type { InputRecord, OutgoingRecord, Outcome, Stage } from '../outcome.ts'
import type { ChunkRow, PageWrite, SourceState, WriteResult } from '../writes.ts'
import { chunkBlocks } from './chunk.ts'
import { storable } from './layout.ts'
import { CHUNKER_VERSION, configFingerprint, draftRows } from './rows.ts'
import type { ChunkerConfig, DraftRow, EmbeddingInput } from './rows.ts'
import { decideWrite } from './versions.ts'

export { CHUNKER_VERSION, configFingerprint }
export type { ChunkerConfig, EmbeddingInput }

export interface ChunkerDeps {
  readonly readSource: (
    tenantId: string,
    sourceId: string,
  ) => Promise<(SourceState & { readonly chunkCount?: number }) | null>
  /** Vectors that this tenant has, by content hash, in pgvector's text form. Never another tenant's. */
  readonly storedVectors: (tenantId: string, contentHashes: readonly string[]) => Promise<Map<string, string>>
  /**
   * Vectors in the order of the inputs, in pgvector's text form, and the tokens they cost.
   * @throws StageError for this page's own fault; DependencyUnavailable when nobody can be served.
   */
  readonly embed: (
    tenantId: string,
    inputs: readonly EmbeddingInput[],
    signal: AbortSignal,
  ) => Promise<{ readonly vectors: readonly string[]; readonly tokens: number }>
  readonly config: ChunkerConfig
}

/** A 5 MB page of prose makes about 10,000; what makes more is no knowledge, and holds its transaction for too long. */
const MAX_ROWS = 20_000

type PageRecord = InputRecord<PageProcessed>

export const chunker: Stage<PageProcessed, ChunkerDeps> = {
  orderKey: (page) => page.source_id,
  handle: async (record, deps) => {
    const state = stateOf(record.value, deps.config)
    const stored = await deps.readSource(record.tenantId, record.value.source_id)
    const decision = decideWrite(stored, state)
    if (decision === 'stale') return { kind: 'done', reason: 'stale' }
    if (decision === 'unchanged') return unchanged(record, stored?.chunkCount ?? 0)
    try {
      const made = state.status === 'active' ? await makeRows(record, deps) : { rows: [], tokens: 0 }
      record.signal.throwIfAborted()
      const write = pageWrite(record, state, deps.config, made.rows, made.tokens)
      return { kind: 'store', write, announce: (result) => announce(record, result) }
    } catch (error) {
      if (error instanceof StageError) return { kind: error.retriable ? 'retry' : 'reject', error }
      throw error
    }
  },
}

function stateOf(page: PageProcessed, config: ChunkerConfig): SourceState {
  return {
    version: page.version,
    extractorVersion: page.extractor_version,
    contentHash: page.content_hash,
    chunkerVersion: CHUNKER_VERSION,
    configFingerprint: configFingerprint(config),
    status: page.status === 'GONE' ? 'gone' : page.status === 'FETCHED' && hasText(page) ? 'active' : 'empty',
  }
}

const hasText = ({ blocks }: PageProcessed) => blocks.some(({ text }) => storable(text).trim() !== '')

async function makeRows({ value: page, tenantId, signal }: PageRecord, deps: ChunkerDeps) {
  const drafts = draftRows(page.title, chunkBlocks(page.blocks, deps.config), deps.config)
  if (drafts.length > MAX_ROWS)
    throw new StageError('page_too_large', `the page makes ${drafts.length} chunks, the limit is ${MAX_ROWS}`)
  const wanted = inputsByHash(drafts)
  const vectors = new Map(wanted.size > 0 ? await deps.storedVectors(tenantId, [...wanted.keys()]) : [])
  const missing = [...wanted].filter(([hash]) => !vectors.has(hash))
  let tokens = 0
  if (missing.length > 0) {
    signal.throwIfAborted()
    const bought = await deps.embed(
      tenantId,
      missing.map(([, input]) => input),
      signal,
    )
    if (bought.vectors.length !== missing.length) throw miscounted(missing.length, bought.vectors.length)
    missing.forEach(([hash], i) => vectors.set(hash, bought.vectors[i] as string))
    tokens = bought.tokens
  }
  const rows = drafts.map(({ row, input }) => ({
    ...row,
    embedding: input ? vectorOf(vectors, row.contentHash) : null,
  }))
  return { rows, tokens }
}

/** Distinct: a sentence that a page repeats is bought once. */
const inputsByHash = (drafts: readonly DraftRow[]): Map<string, EmbeddingInput> =>
  new Map(drafts.flatMap(({ row, input }) => (input ? [[row.contentHash, input] as const] : [])))

function vectorOf(vectors: ReadonlyMap<string, string>, hash: string): string {
  const vector = vectors.get(hash)
  if (vector === undefined) throw new StageError('embedding_missing', `no vector for content hash ${hash}`)
  return vector
}

const miscounted = (asked: number, got: number) =>
  new StageError('embedding_missing', `asked for ${asked} vectors, got ${got}`, { retriable: true })

function pageWrite(
  { value: page, tenantId }: PageRecord,
  state: SourceState,
  config: ChunkerConfig,
  rows: readonly ChunkRow[],
  tokensBought: number,
): PageWrite {
  return {
    ...state,
    type: 'page',
    tenantId,
    sourceId: page.source_id,
    url: page.url,
    canonicalUrl: page.canonical_url,
    chunkType: page.chunk_type,
    title: storable(page.title),
    language: page.language,
    embeddingModel: config.model,
    fetchedAt: page.fetched_at,
    crawlId: page.crawl_id,
    rows,
    tokensBought,
  }
}

/** Said again at every redelivery and replay: whoever waits for the page learns that it is there. */
const unchanged = (record: PageRecord, chunks: number): Outcome => ({
  kind: 'done',
  reason: 'unchanged',
  records: [updated(record, { change: 'UNCHANGED', chunks })],
})

/** A page that lost against a newer one, or whose tenant is deleted, is no news. */
function announce(record: PageRecord, { change, rows, inserted, deleted }: WriteResult): OutgoingRecord[] {
  if (change === 'stale' || change === 'refused') return []
  const kind = change === 'unchanged' ? 'UNCHANGED' : record.value.status === 'GONE' ? 'GONE' : 'UPDATED'
  return [updated(record, { change: kind, chunks: rows, chunks_inserted: inserted, chunks_deleted: deleted })]
}

function updated({ value: page, tenantId }: PageRecord, news: Partial<KnowledgeUpdated>): OutgoingRecord {
  const { source_id, url, chunk_type, version, crawl_id } = page
  const value = {
    tenant_id: tenantId,
    source_id,
    url,
    chunk_type,
    version,
    chunker_version: CHUNKER_VERSION,
    crawl_id,
    ...news,
  }
  return { topic: 'knowledge.updated', tenantId, value }
}
