/** Writes pages' chunk sets inside one transaction: a reader sees the old set of a page or the new one, never a mix. */
import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import { decideWrite } from '../../streams/3-chunker/versions.ts'
import type { ChunkRow, PageWrite, SourceState, WriteResult } from '../../streams/writes.ts'
import { chunkId } from './chunk-id.ts'
import { searchConfig } from './search-config.ts'

const none = { rows: 0, inserted: 0, deleted: 0, ignored: 0 }
const pageKey = (tenantId: string, sourceId: string) => `${tenantId}\u0000${sourceId}`
const keyOf = ({ tenantId, sourceId }: PageWrite) => pageKey(tenantId, sourceId)

/** @returns one result a write, in the order given. */
export async function writePages(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<WriteResult[]> {
  // Locks in key order over the batch, else two batches that overlap in opposite order deadlock.
  const ordered = [...writes].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  const deleted = await deletedTenants(trx, ordered)
  const stored = await lockSources(
    trx,
    ordered.filter(({ tenantId }) => !deleted.has(tenantId)),
  )
  const results = new Map<PageWrite, WriteResult>()
  const winners = new Map<string, PageWrite>()
  for (const write of ordered) {
    const key = keyOf(write)
    if (deleted.has(write.tenantId)) results.set(write, { change: 'refused', ...none })
    else {
      const before = winners.get(key) ?? stored.get(key) ?? null
      const decision = decideWrite(before && stateOf(before), stateOf(write))
      if (decision === 'write') {
        const beaten = winners.get(key)
        if (beaten) results.set(beaten, { change: 'stale', ...none })
        winners.set(key, write)
      } else results.set(write, { change: decision, ...none, rows: write.rows.length })
    }
  }
  for (const [write, result] of await replaceRows(trx, [...winners.values()])) results.set(write, result)
  return writes.map((write) => results.get(write)!)
}

function stateOf(page: PageWrite | SourceState): SourceState {
  const { version, extractorVersion, contentHash, chunkerVersion, configFingerprint, status } = page
  return { version, extractorVersion, contentHash, chunkerVersion, configFingerprint, status }
}

/** A deleted tenant keeps its row as a tombstone, so that records still in Kafka do not bring it back. */
async function deletedTenants(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<Set<string>> {
  const ids = [...new Set(writes.map(({ tenantId }) => tenantId))]
  await trx('tenants')
    .insert(ids.map((id) => ({ id })))
    .onConflict('id')
    .ignore()
  const rows = await trx('tenants').select('id').whereIn('id', ids).where('status', 'deleted').forShare()
  return new Set(rows.map(({ id }: { id: string }) => id))
}

async function lockSources(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<Map<string, SourceState>> {
  if (writes.length === 0) return new Map()
  const unique = [...new Map(writes.map((write) => [keyOf(write), write])).values()]
  // A new page gets a row of version -1 to lock: every real version is newer.
  await trx('sources')
    .insert(
      unique.map((write) => ({
        ...sourceColumns(write),
        version: '-1',
        content_hash: '',
        chunker_version: 0,
        status: 'new',
      })),
    )
    .onConflict(['tenant_id', 'id'])
    .ignore()
  const { rows } = await trx.raw(
    `select s.tenant_id, s.id, s.version, s.extractor_version, s.content_hash, s.chunker_version, s.config_fingerprint, s.status
     from sources s join unnest(?::text[], ?::uuid[]) as p (tenant_id, id) using (tenant_id, id)
     order by s.tenant_id, s.id for update of s`,
    [unique.map(({ tenantId }) => tenantId), unique.map(({ sourceId }) => sourceId)],
  )
  return new Map((rows as SourceRow[]).map((row) => [pageKey(row.tenant_id, row.id), toSourceState(row)]))
}

export interface SourceRow {
  tenant_id: string
  id: string
  version: string
  extractor_version: number
  content_hash: string
  chunker_version: number
  config_fingerprint: string
  status: SourceState['status'] | 'new'
  chunk_count: number
}

export const toSourceState = (row: SourceRow): SourceState => ({
  version: BigInt(row.version),
  extractorVersion: row.extractor_version,
  contentHash: row.content_hash,
  chunkerVersion: row.chunker_version,
  configFingerprint: row.config_fingerprint,
  status: row.status === 'new' ? 'empty' : row.status,
})

function sourceColumns(write: PageWrite) {
  return {
    tenant_id: write.tenantId,
    id: write.sourceId,
    url: write.url,
    // Btree keys end at 8191 bytes and URLs do not: the hash is indexed.
    url_hash: createHash('sha256').update(write.url).digest(),
    canonical_url: write.canonicalUrl,
    chunk_type: write.chunkType,
    title: write.title,
    language: write.language,
    version: String(write.version),
    extractor_version: write.extractorVersion,
    content_hash: write.contentHash,
    chunker_version: write.chunkerVersion,
    config_fingerprint: write.configFingerprint,
    chunk_count: write.rows.length,
    status: write.status,
    fetched_at: new Date(Number(write.fetchedAt / 1000n)),
  }
}

/** Deletes what is not of the new sets, inserts what is missing, and stamps what stays with the new version. */
async function replaceRows(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<Map<PageWrite, WriteResult>> {
  if (writes.length === 0) return new Map()
  const rows = writes.flatMap((write) => write.rows.map((row) => knowledgeRow(trx, write, row)))
  const deleted = await deleteOthers(trx, writes, rows)
  await stampKept(trx, writes)
  const inserted = await insertRows(trx, rows)
  for (const write of writes)
    await trx('sources')
      .where({ tenant_id: write.tenantId, id: write.sourceId })
      .update({ ...sourceColumns(write), updated_at: trx.fn.now() })
  await countTokens(trx, writes)
  return new Map(
    writes.map((write) => {
      const count = inserted.get(keyOf(write)) ?? 0
      const total = write.rows.length
      return [
        write,
        {
          change: 'applied',
          rows: total,
          inserted: count,
          deleted: deleted.get(keyOf(write)) ?? 0,
          ignored: total - count,
        },
      ]
    }),
  )
}

function knowledgeRow(trx: Knex.Transaction, write: PageWrite, row: ChunkRow) {
  const id = (index: number) => chunkId(write.tenantId, write.sourceId, write.chunkType, index)
  return {
    id: id(row.chunkIndex),
    tenant_id: write.tenantId,
    chunk_type: write.chunkType,
    source_id: write.sourceId,
    parent_id: row.parentIndex === null ? null : id(row.parentIndex),
    chunk_index: row.chunkIndex,
    heading_path: row.headingPath,
    content: row.content,
    content_hash: row.contentHash,
    token_count: row.tokenCount,
    embedding: row.embedding,
    embedding_model: write.embeddingModel,
    chunker_version: write.chunkerVersion,
    source_version: String(write.version),
    metadata: JSON.stringify({ title: write.title, url: write.url }),
    search_config: trx.raw('?::regconfig', [searchConfig(write.language)]),
  }
}
type KnowledgeRow = ReturnType<typeof knowledgeRow>

async function deleteOthers(trx: Knex.Transaction, writes: readonly PageWrite[], rows: readonly KnowledgeRow[]) {
  const { rows: gone } = await trx.raw(
    `delete from tenant_knowledge k
     using unnest(?::text[], ?::uuid[]) as page (tenant_id, source_id)
     where k.tenant_id = page.tenant_id and k.source_id = page.source_id and not exists (
       select from unnest(?::text[], ?::uuid[], ?::text[], ?::int[], ?::text[], ?::uuid[], ?::text[])
         as n (tenant_id, source_id, chunk_type, chunk_index, content_hash, parent_id, embedding_model)
       where n.tenant_id = k.tenant_id and n.source_id = k.source_id and n.chunk_type = k.chunk_type
         and n.chunk_index = k.chunk_index and n.content_hash = k.content_hash
         and n.parent_id is not distinct from k.parent_id and n.embedding_model = k.embedding_model)
     returning k.tenant_id, k.source_id`,
    [
      ...pageArrays(writes),
      rows.map((row) => row.tenant_id),
      rows.map((row) => row.source_id),
      rows.map((row) => row.chunk_type),
      rows.map((row) => row.chunk_index),
      rows.map((row) => row.content_hash),
      rows.map((row) => row.parent_id) as string[],
      rows.map((row) => row.embedding_model),
    ],
  )
  return countByPage(gone as { tenant_id: string; source_id: string }[])
}

/** Every row of a page carries its page's version; no indexed column changes, so the vector indexes are not touched. */
async function stampKept(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<void> {
  await trx.raw(
    `update tenant_knowledge k set source_version = page.version, chunker_version = page.chunker_version, metadata = page.metadata
     from unnest(?::text[], ?::uuid[], ?::bigint[], ?::int[], ?::jsonb[])
       as page (tenant_id, source_id, version, chunker_version, metadata)
     where k.tenant_id = page.tenant_id and k.source_id = page.source_id`,
    [
      ...pageArrays(writes),
      writes.map(({ version }) => String(version)),
      writes.map(({ chunkerVersion }) => chunkerVersion),
      writes.map(({ title, url }) => JSON.stringify({ title, url })),
    ],
  )
}

const pageArrays = (writes: readonly PageWrite[]): [string[], string[]] => [
  writes.map(({ tenantId }) => tenantId),
  writes.map(({ sourceId }) => sourceId),
]

/** Rows in the order of the unique key: DO NOTHING deadlocks too when two batches insert in opposite orders. */
async function insertRows(trx: Knex.Transaction, rows: readonly KnowledgeRow[]): Promise<Map<string, number>> {
  if (rows.length === 0) return new Map()
  const key = (row: KnowledgeRow) => [row.tenant_id, row.source_id, row.chunk_type] as const
  const sorted = [...rows].sort((a, b) => compare(key(a), key(b)) || a.chunk_index - b.chunk_index)
  const inserted = await trx('tenant_knowledge')
    .insert(sorted)
    // The predicate is a literal: with a bound parameter it fails from the sixth execution on (generic plan).
    .onConflict(trx.raw('(tenant_id, source_id, chunk_type, chunk_index) where source_id is not null'))
    .ignore()
    .returning(['tenant_id', 'source_id'])
  return countByPage(inserted as { tenant_id: string; source_id: string }[])
}

function compare(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((value, index) => value !== b[index])
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1
}

function countByPage(rows: readonly { tenant_id: string; source_id: string }[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { tenant_id, source_id } of rows) {
    const key = pageKey(tenant_id, source_id)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

/** What was bought from the embeddings API, per tenant; in key order, as every lock is. */
async function countTokens(trx: Knex.Transaction, writes: readonly PageWrite[]): Promise<void> {
  const bought = new Map<string, number>()
  for (const { tenantId, tokensBought } of writes) bought.set(tenantId, (bought.get(tenantId) ?? 0) + tokensBought)
  const tenants = [...bought].filter(([, tokens]) => tokens > 0).sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [id, tokens] of tenants) await trx('tenants').where({ id }).increment('tokens_bought', tokens)
}
