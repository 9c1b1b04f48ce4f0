/** What a page's write would change, worked out without writing. */
import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import type { PageWrite } from '../../streams/writes.ts'
import { chunkId } from './chunk-id.ts'

/** By these a row stays as it is or is replaced: the columns that chunk-rows.ts compares. */
type Compared = readonly [
  chunkType: string,
  chunkIndex: number,
  contentHash: string,
  parentId: string | null,
  embeddingModel: string,
  content: string,
  headings: string,
]

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
const signature = (compared: Compared) => md5(JSON.stringify(compared))

/** The rows that the page would have. */
export function rowsOfWrite({ tenantId, sourceId, chunkType, embeddingModel, rows }: PageWrite): Set<string> {
  const id = (index: number) => chunkId(tenantId, sourceId, chunkType, index)
  return new Set(
    rows.map((row) =>
      signature([
        ...([chunkType, row.chunkIndex, row.contentHash] as const),
        row.parentIndex === null ? null : id(row.parentIndex),
        ...([embeddingModel, md5(row.content), md5(row.headingPath.join('\u001f'))] as const),
      ]),
    ),
  )
}

/** The rows that it has. Contents stay in the database: their hashes say as much. */
export async function storedRowsOf(db: Knex, tenantId: string, sourceId: string): Promise<Set<string>> {
  const { rows } = await db.raw(
    `select chunk_type, chunk_index, content_hash, parent_id, embedding_model, md5(content) as content,
       md5(array_to_string(heading_path, chr(31))) as headings
     from tenant_knowledge where tenant_id = ? and source_id = ?`,
    [tenantId, sourceId],
  )
  type Row = Record<'chunk_type' | 'content_hash' | 'embedding_model' | 'content' | 'headings', string> & {
    chunk_index: number
    parent_id: string | null
  }
  return new Set(
    (rows as Row[]).map((row) =>
      signature([
        ...([row.chunk_type, row.chunk_index, row.content_hash, row.parent_id] as const),
        ...([row.embedding_model, row.content, row.headings] as const),
      ]),
    ),
  )
}

/** Whose records a replay leaves alone: their rows would be refused, and their vectors bought in vain. */
export async function deletedTenants(db: Knex): Promise<Set<string>> {
  const rows = await db('tenants').select('id').where({ status: 'deleted' })
  return new Set(rows.map(({ id }: { id: string }) => id))
}
