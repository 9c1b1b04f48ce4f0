/** The Postgres side of the runtime and of the chunker's ports. */
import type { Knex } from 'knex'
import type { FrontierAdmission, PageWrite, SourceState, WriteResult } from '../../streams/writes.ts'
import type { LedgerPosition, Store, StoreWrite } from '../../streams/runtime/ports.ts'
import { classifyPostgres } from './errors.ts'
import { admitCrawls } from './frontier.ts'
import { advanceLedger, claimPartitions } from './ledger.ts'
import { writePages } from './page-writer.ts'
import { repeated } from './repeated.ts'
import { toSourceState } from './source-rows.ts'
import type { SourceRow } from './source-rows.ts'

export interface KnowledgeStore extends Store {
  readonly readSource: (
    tenantId: string,
    sourceId: string,
  ) => Promise<(SourceState & { readonly chunkCount: number }) | null>
  /** Vectors that this tenant already has for these content hashes, in pgvector's text form. */
  readonly storedVectors: (tenantId: string, contentHashes: readonly string[]) => Promise<Map<string, string>>
}

/** Something more in each transaction, such as a replay's figures: it stands or falls with the rows. */
export type Alongside = (
  trx: Knex.Transaction,
  results: readonly WriteResult[],
  ledger: readonly LedgerPosition[],
) => Promise<void>

export function createStore(db: Knex, alongside?: Alongside): KnowledgeStore {
  return {
    claim: (group, partitions, owner) => classified(() => claimPartitions(db, group, partitions, owner)),
    transact: (group, writes, ledger) =>
      classified(() =>
        repeated(() =>
          db.transaction(async (trx) => {
            const results = await applyWrites(trx, writes)
            await advanceLedger(trx, group, ledger)
            await alongside?.(trx, results, ledger)
            return results
          }),
        ),
      ),
    readSource: (tenantId, sourceId) =>
      classified(async () => {
        const row: SourceRow | undefined = await db('sources').where({ tenant_id: tenantId, id: sourceId }).first()
        return row && row.status !== 'new' ? { ...toSourceState(row), chunkCount: row.chunk_count } : null
      }),
    storedVectors: (tenantId, contentHashes) =>
      classified(async () => {
        const { rows } = await db.raw(
          `select distinct on (content_hash) content_hash, embedding::text as embedding from tenant_knowledge
           where tenant_id = ? and content_hash = any(?) and embedding is not null order by content_hash`,
          [tenantId, [...contentHashes]],
        )
        return new Map(
          (rows as { content_hash: string; embedding: string }[]).map((r) => [r.content_hash, r.embedding]),
        )
      }),
  }
}

async function applyWrites(trx: Knex.Transaction, writes: readonly StoreWrite[]): Promise<WriteResult[]> {
  const isPage = (write: StoreWrite): write is PageWrite => write.type === 'page'
  const pages = writes.filter(isPage)
  const pageResults = pages.length > 0 ? await writePages(trx, pages) : []
  const results = new Map<StoreWrite, WriteResult>(pages.map((page, index) => [page, pageResults[index]!]))
  const crawls = writes.filter((write): write is FrontierAdmission => !isPage(write))
  const admitted = crawls.length > 0 ? await admitCrawls(trx, crawls) : []
  crawls.forEach((crawl, index) => {
    const fresh = admitted[index] ?? null
    const change = fresh === null ? 'refused' : 'applied'
    results.set(crawl, { change, rows: fresh ?? 0, inserted: fresh ?? 0, deleted: 0, ignored: 0 })
  })
  return writes.map((write) => results.get(write)!)
}

async function classified<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw classifyPostgres(error)
  }
}
