/** Page writes for tests: small, distinct, valid. */
import { sourceId } from '../../streams/source-id.ts'
import type { ChunkRow, PageWrite } from '../../streams/writes.ts'
import { TEST_DIMENSIONS } from './database.ts'

/** A unit vector along one axis. */
export const axis = (index: number): string =>
  `[${Array.from({ length: TEST_DIMENSIONS }, (_, at) => (at === index % TEST_DIMENSIONS ? 1 : 0)).join(',')}]`

/** `count` rows: the first is the parent of all others. `mark` makes contents differ. */
export const rows = (count: number, mark = ''): ChunkRow[] =>
  Array.from({ length: count }, (_, index) => ({
    chunkIndex: index,
    parentIndex: index === 0 ? null : 0,
    headingPath: ['Manual', 'Pumps'],
    content: `pump ${index} ${mark}`.trim(),
    tokenCount: 3,
    contentHash: `hash-${index}-${mark}`,
    embedding: index === 0 ? null : axis(index),
  }))

export function page(given: Partial<PageWrite> & { url?: string } = {}): PageWrite {
  const tenantId = given.tenantId ?? 'acme'
  const url = given.url ?? 'https://acme.example/pumps'
  return {
    type: 'page',
    tenantId,
    sourceId: sourceId(tenantId, url),
    url,
    canonicalUrl: url,
    chunkType: 'website',
    status: 'active',
    title: 'Pumps',
    language: 'en',
    version: 1n,
    extractorVersion: 1,
    contentHash: 'content',
    chunkerVersion: 1,
    configFingerprint: 'config',
    embeddingModel: 'model',
    fetchedAt: 1_700_000_000_000_000n,
    crawlId: '',
    tokensBought: 0,
    rows: rows(3),
    ...given,
  }
}
