/** The rows of `sources`: one a page, the row that is locked while its chunks change. */
import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import type { PageWrite, SourceState } from '../../streams/writes.ts'

export const pageKey = (tenantId: string, sourceId: string) => `${tenantId}\u0000${sourceId}`
export const keyOf = ({ tenantId, sourceId }: PageWrite) => pageKey(tenantId, sourceId)

/** Locks the pages' rows in key order. @returns what is stored, by `pageKey`; new pages are absent. */
export async function lockSources(
  trx: Knex.Transaction,
  writes: readonly PageWrite[],
): Promise<Map<string, SourceState>> {
  if (writes.length === 0) return new Map()
  const unique = [...new Map(writes.map((write) => [keyOf(write), write])).values()]
  // A new page gets a row to lock; what it says does not count until a write fills it.
  await trx('sources')
    .insert(
      unique.map((write) => ({
        ...sourceColumns(write),
        chunk_count: 0,
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
  const known = (rows as SourceRow[]).filter(({ status }) => status !== 'new')
  return new Map(known.map((row) => [pageKey(row.tenant_id, row.id), toSourceState(row)]))
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

/** Of a row that a write has filled. */
export const toSourceState = (row: SourceRow): SourceState => ({
  version: BigInt(row.version),
  extractorVersion: row.extractor_version,
  contentHash: row.content_hash,
  chunkerVersion: row.chunker_version,
  configFingerprint: row.config_fingerprint,
  status: row.status as SourceState['status'],
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

export async function updateSource(trx: Knex.Transaction, write: PageWrite): Promise<void> {
  await trx('sources')
    .where({ tenant_id: write.tenantId, id: write.sourceId })
    .update({ ...sourceColumns(write), updated_at: trx.fn.now() })
}
