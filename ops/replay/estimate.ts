/**
 * Ports for a dry run: the stage itself runs over the range, what it reads is read, and what it would write, produce or
 * buy is counted. Nothing leaves but reads.
 */
import { rowsOfWrite, storedRowsOf } from '../../connectors/postgres/replay-estimate.ts'
import type { KnowledgeStore } from '../../connectors/postgres/store.ts'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { StoreWrite } from '../../streams/runtime/ports.ts'
import type { PageWrite, SourceState, WriteResult } from '../../streams/writes.ts'
import type { Services } from '../services.ts'
import type { ReplayFigures } from './figures.ts'

/** Pages and vectors that this run has made up. What is forgotten beyond is counted again if it comes again. */
const KEPT = 50_000

interface Page {
  readonly state: SourceState & { readonly chunkCount: number }
  readonly rows: ReadonlySet<string>
}

export interface Estimate {
  readonly services: Services
  readonly figures: () => Omit<ReplayFigures, 'records'>
}

export function createEstimate(services: Services, store: KnowledgeStore): Estimate {
  const figures = { pagesChanged: 0, chunksInserted: 0, chunksDeleted: 0, embeddingInputs: 0, embeddingTokens: 0 }
  const pages = recent<Page>()
  const vectors = recent<true>()
  const keyOf = (tenantId: string, what: string) => `${tenantId}\0${what}`

  async function write(page: PageWrite): Promise<WriteResult> {
    const key = keyOf(page.tenantId, page.sourceId)
    const before = pages.get(key)?.rows ?? (await storedRowsOf(services.db, page.tenantId, page.sourceId))
    const after = rowsOfWrite(page)
    const inserted = [...after].filter((row) => !before.has(row)).length
    const deleted = [...before].filter((row) => !after.has(row)).length
    if (inserted + deleted > 0) figures.pagesChanged += 1
    figures.chunksInserted += inserted
    figures.chunksDeleted += deleted
    pages.set(key, { state: stateOf(page), rows: after })
    for (const row of page.rows) if (row.embedding !== null) vectors.set(keyOf(page.tenantId, row.contentHash), true)
    return { change: 'applied', rows: page.rows.length, inserted, deleted, ignored: page.rows.length - inserted }
  }
  const counted = async (one: StoreWrite): Promise<WriteResult> =>
    one.type === 'page' ? write(one) : { change: 'applied', rows: 0, inserted: 0, deleted: 0, ignored: 0 }

  const reading: KnowledgeStore = {
    readSource: async (tenantId, sourceId) =>
      pages.get(keyOf(tenantId, sourceId))?.state ?? (await store.readSource(tenantId, sourceId)),
    storedVectors: async (tenantId, hashes) => {
      const stored = await store.storedVectors(tenantId, hashes)
      for (const hash of hashes) if (vectors.get(keyOf(tenantId, hash))) stored.set(hash, '[]')
      return stored
    },
    claim: async (_, partitions) =>
      new Map(partitions.map((at) => [partitionKey(at), { epoch: 1n, nextOffset: null }])),
    transact: (_, writes) => Promise.all(writes.map(counted)),
  }
  return {
    figures: () => ({ ...figures }),
    services: {
      ...services,
      store: reading,
      producer: { ...services.producer, produce: async () => {} },
      embeddings: {
        ...services.embeddings,
        embed: async (_, inputs) => {
          const tokens = inputs.reduce((sum, input) => sum + input.tokens, 0)
          figures.embeddingInputs += inputs.length
          figures.embeddingTokens += tokens
          return { vectors: inputs.map(() => '[]'), tokens }
        },
      },
    },
  }
}

function stateOf(page: PageWrite): Page['state'] {
  const { version, extractorVersion, contentHash, chunkerVersion, configFingerprint, status, rows } = page
  return { version, extractorVersion, contentHash, chunkerVersion, configFingerprint, status, chunkCount: rows.length }
}

function recent<Value>() {
  const kept = new Map<string, Value>()
  return {
    get: (key: string) => kept.get(key),
    set: (key: string, value: Value) => {
      kept.delete(key)
      kept.set(key, value)
      if (kept.size > KEPT) kept.delete(kept.keys().next().value!)
    },
  }
}
