/** The rows of `tenant_knowledge`: a page's old set becomes its new one. */
import type { Knex } from 'knex'
import type { ChunkRow, PageWrite, WriteResult } from '../../streams/writes.ts'
import { chunkId } from './chunk-id.ts'
import { searchConfig } from './search-config.ts'
import { keyOf, pageKey, updateSource } from './source-rows.ts'

/** A statement carries at most 65,535 parameters, and a row takes 16: a page of 4,096 rows would not fit. */
const ROWS_PER_INSERT = 1_000

interface PageKey {
  tenant_id: string
  source_id: string
}

/** Deletes what is not of the new sets, inserts what is missing, and stamps what stays with the new version. */
export async function replaceRows(
  trx: Knex.Transaction,
  writes: readonly PageWrite[],
): Promise<Map<PageWrite, WriteResult>> {
  if (writes.length === 0) return new Map()
  const configs = writes.map(searchConfigOf)
  const rows = writes.flatMap((write, page) => write.rows.map((row) => knowledgeRow(trx, write, row, configs[page]!)))
  const deleted = await deleteOthers(trx, writes, rows)
  await stampKept(trx, writes, configs)
  const inserted = await insertRows(trx, rows)
  for (const write of writes) await updateSource(trx, write)
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

/** The page's declared language, or what its words say: without a stemmer "pumps" does not find "pump". */
const searchConfigOf = (write: PageWrite): string =>
  searchConfig(write.language, write.rows.map(({ content }) => content).join(' '))

function knowledgeRow(trx: Knex.Transaction, write: PageWrite, row: ChunkRow, config: string) {
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
    search_config: trx.raw('?::regconfig', [config]),
  }
}
type KnowledgeRow = ReturnType<typeof knowledgeRow>

async function deleteOthers(trx: Knex.Transaction, writes: readonly PageWrite[], rows: readonly KnowledgeRow[]) {
  const { rows: gone } = await trx.raw(
    `delete from tenant_knowledge k
     using unnest(?::text[], ?::uuid[]) as page (tenant_id, source_id)
     where k.tenant_id = page.tenant_id and k.source_id = page.source_id and not exists (
       select from unnest(?::text[], ?::uuid[], ?::text[], ?::int[], ?::text[], ?::uuid[], ?::text[], ?::text[], ?::text[])
         as n (tenant_id, source_id, chunk_type, chunk_index, content_hash, parent_id, embedding_model, content, headings)
       where n.tenant_id = k.tenant_id and n.source_id = k.source_id and n.chunk_type = k.chunk_type
         and n.chunk_index = k.chunk_index and n.content_hash = k.content_hash
         and n.parent_id is not distinct from k.parent_id and n.embedding_model = k.embedding_model
         and n.content = k.content and n.headings = array_to_string(k.heading_path, chr(31)))
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
      // The hash covers what is embedded: title and headings may trade places in it and leave it the same.
      rows.map((row) => row.content),
      rows.map((row) => row.heading_path.join('\u001f')),
    ],
  )
  return countByPage(gone as { tenant_id: string; source_id: string }[])
}

/** Every row of a page carries its page's version and stemmer; where the latter stays, no indexed column changes. */
async function stampKept(
  trx: Knex.Transaction,
  writes: readonly PageWrite[],
  configs: readonly string[],
): Promise<void> {
  await trx.raw(
    `update tenant_knowledge k set source_version = page.version, chunker_version = page.chunker_version,
       metadata = page.metadata, search_config = page.search_config::regconfig
     from unnest(?::text[], ?::uuid[], ?::bigint[], ?::int[], ?::jsonb[], ?::text[])
       as page (tenant_id, source_id, version, chunker_version, metadata, search_config)
     where k.tenant_id = page.tenant_id and k.source_id = page.source_id`,
    [
      ...pageArrays(writes),
      writes.map(({ version }) => String(version)),
      writes.map(({ chunkerVersion }) => chunkerVersion),
      writes.map(({ title, url }) => JSON.stringify({ title, url })),
      [...configs],
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
  const inserted: PageKey[] = []
  for (let start = 0; start < sorted.length; start += ROWS_PER_INSERT)
    inserted.push(...(await insertSome(trx, sorted.slice(start, start + ROWS_PER_INSERT))))
  return countByPage(inserted)
}

function insertSome(trx: Knex.Transaction, rows: readonly KnowledgeRow[]): Promise<PageKey[]> {
  return (
    trx('tenant_knowledge')
      .insert([...rows])
      // The predicate is a literal: with a bound parameter it fails from the sixth execution on (generic plan).
      .onConflict(trx.raw('(tenant_id, source_id, chunk_type, chunk_index) where source_id is not null'))
      .ignore()
      .returning(['tenant_id', 'source_id'])
  )
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
