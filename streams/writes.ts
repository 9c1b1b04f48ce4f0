/** What stages ask to be stored: plain data; `connectors/postgres` turns it into SQL. */
import type { TraceHeaders } from './trace.ts'

/** One row of tenant_knowledge. Parents come before their children; `chunkIndex` counts both, from 0, without gaps. */
export interface ChunkRow {
  readonly chunkIndex: number
  /** null: this row is a parent. */
  readonly parentIndex: number | null
  readonly headingPath: readonly string[]
  readonly content: string
  readonly tokenCount: number
  /** sha256 hex over the normalised text that is embedded, model, dimensions and prefix version. */
  readonly contentHash: string
  /** pgvector's text form `[0.1,…]`; null for parents, which are returned and never matched. */
  readonly embedding: string | null
}

/** The whole set of a page's chunks at one version; an empty set removes the page. */
export interface PageWrite {
  readonly type: 'page'
  readonly tenantId: string
  /** UUIDv5 of (tenant, canonical URL). */
  readonly sourceId: string
  readonly url: string
  readonly canonicalUrl: string
  readonly chunkType: string
  readonly status: 'active' | 'empty' | 'gone'
  readonly title: string
  readonly language: string
  /** Grows per page; the newest wins. */
  readonly version: bigint
  /** Of equal page versions, what a newer extractor made of the page wins. */
  readonly extractorVersion: number
  /** SHA-256 hex of the page's content; breaks ties that are left. */
  readonly contentHash: string
  readonly chunkerVersion: number
  /** Of the chunker's configuration, embedding model and dimensions. */
  readonly configFingerprint: string
  readonly embeddingModel: string
  /** Microseconds since the epoch. */
  readonly fetchedAt: bigint
  readonly crawlId: string
  readonly rows: readonly ChunkRow[]
  /** Tokens bought from the embeddings API for this write; counted against the tenant. */
  readonly tokensBought: number
  /** Of the work that asks for it; added by the runtime, not stored. */
  readonly trace?: TraceHeaders
}

/** Start URLs admitted to a crawl's frontier. */
export interface FrontierAdmission {
  readonly type: 'frontier'
  readonly tenantId: string
  readonly crawlId: string
  readonly urls: readonly string[]
  readonly maxPages: number
  readonly maxDepth: number
  readonly chunkType: string
  /** Of the request, added by the runtime: the crawl's pages belong to its trace, whenever they are fetched. */
  readonly trace?: TraceHeaders
}

/** What is stored of a page, as read before the work on a new version starts. */
export interface SourceState {
  readonly version: bigint
  readonly extractorVersion: number
  readonly contentHash: string
  readonly chunkerVersion: number
  readonly configFingerprint: string
  readonly status: 'active' | 'empty' | 'gone'
}

/** What became of a write. */
export interface WriteResult {
  /** refused: the tenant is deleted. stale: a newer version is stored. */
  readonly change: 'applied' | 'unchanged' | 'stale' | 'refused'
  /** Rows that the page has now. */
  readonly rows: number
  readonly inserted: number
  readonly deleted: number
  /** Rows that were there already and were ignored by the unique index. */
  readonly ignored: number
}
