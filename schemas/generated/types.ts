// Generated from schemas/*.avsc by `npm run generate`; do not edit.

/** Asks the crawler to fetch pages for a tenant. A producer in any language needs only tenant_id and urls. The record's key is tenant_id. */
export interface CrawlRequest {
  /**
   * The tenant that will own the pages; must equal the record's key.
   */
  tenant_id: string
  /**
   * Absolute http(s) URLs to start from; links are followed on the same site only.
   */
  urls: string[]
  /**
   * Identifies this crawl; empty: derived from topic, partition and offset, so that a redelivery is the same crawl.
   * Default: `""`.
   */
  crawl_id: string
  /**
   * Most pages admitted to the crawl; 0: the crawler's default.
   * Default: `0`.
   */
  max_pages: number
  /**
   * Most links from a start URL; 0: only the URLs given; -1: the crawler's default.
   * Default: `-1`.
   */
  max_depth: number
  /**
   * The chunk_type that the pages' chunks will carry.
   * Default: `"website"`.
   */
  chunk_type: string
  /**
   * When it was asked for, microseconds since the epoch; 0: the record's timestamp.
   * Default: `0`.
   */
  requested_at: bigint
}

export type KnowledgeChange = 'UPDATED' | 'UNCHANGED' | 'GONE'

/** A page's chunks are stored (or removed) and searchable. Delivered at least once; idempotent by (tenant_id, source_id, version, chunker_version). The record's key is tenant_id. */
export interface KnowledgeUpdated {
  /**
   * The tenant that owns the page; equals the record's key.
   */
  tenant_id: string
  /**
   * The page's identity.
   */
  source_id: string
  /**
   * The page's address.
   */
  url: string
  /**
   * Kind of knowledge.
   * Default: `"website"`.
   */
  chunk_type: string
  /**
   * The page's version that is stored now.
   */
  version: bigint
  /**
   * Version of the chunker that made the chunks.
   * Default: `0`.
   */
  chunker_version: number
  /**
   * What happened to the page's rows.
   * Default: `"UPDATED"`.
   */
  change: KnowledgeChange
  /**
   * Rows that the page has now, parents and children.
   * Default: `0`.
   */
  chunks: number
  /**
   * Rows inserted.
   * Default: `0`.
   */
  chunks_inserted: number
  /**
   * Rows deleted.
   * Default: `0`.
   */
  chunks_deleted: number
  /**
   * The crawl that fetched the page; empty: none.
   * Default: `""`.
   */
  crawl_id: string
  /**
   * When the rows were committed, microseconds since the epoch; 0: the record's timestamp.
   * Default: `0`.
   */
  updated_at: bigint
}

export type PageStatus = 'FETCHED' | 'GONE'

/** A page as fetched, or the news that it is gone. A producer in any language needs only tenant_id, url, body and content_type. The record's key is tenant_id. */
export interface PageCrawled {
  /**
   * The tenant that owns the page; must equal the record's key.
   */
  tenant_id: string
  /**
   * The page's address as fetched (after redirects), or any stable absolute URI for knowledge that is no web page.
   */
  url: string
  /**
   * The page's bytes as received, content codings (gzip, br) removed, charset untouched; at most 5 MB. Empty when status is GONE.
   */
  body: Buffer
  /**
   * MIME type with its charset if known: text/html, application/xhtml+xml, text/markdown or text/plain.
   */
  content_type: string
  /**
   * Kind of knowledge: website, faq, product, manual, …; part of the chunks' unique key.
   * Default: `"website"`.
   */
  chunk_type: string
  /**
   * Grows with every change of the page; the newest wins whatever order records arrive in. 0: the record's timestamp in microseconds.
   * Default: `0`.
   */
  version: bigint
  /**
   * Whether the page is there or gone.
   * Default: `"FETCHED"`.
   */
  status: PageStatus
  /**
   * The address that identifies the page for this tenant; empty: url.
   * Default: `""`.
   */
  canonical_url: string
  /**
   * When the page was fetched, microseconds since the epoch; 0: the record's timestamp.
   * Default: `0`.
   */
  fetched_at: bigint
  /**
   * The response's status code; 0: not fetched over HTTP.
   * Default: `0`.
   */
  http_status: number
  /**
   * The response's ETag, empty if none.
   * Default: `""`.
   */
  etag: string
  /**
   * The response's Last-Modified header as sent, empty if none.
   * Default: `""`.
   */
  last_modified: string
  /**
   * The crawl that fetched the page; empty: none.
   * Default: `""`.
   */
  crawl_id: string
  /**
   * Links between the crawl's start URL and this page.
   * Default: `0`.
   */
  depth: number
}

export type ProcessedStatus = 'FETCHED' | 'EMPTY' | 'GONE'

export type BlockKind = 'PARAGRAPH' | 'HEADING' | 'LIST' | 'TABLE' | 'CODE' | 'QUOTE'

/** One block of content. */
export interface Block {
  /**
   * What the block is.
   */
  kind: BlockKind
  /**
   * Its text: a list has one item a line (indented two spaces a level, '- ' or '1. ' first), a table one row a line with cells joined by ' | ', code is verbatim.
   */
  text: string
  /**
   * 1 to 6 for a heading, else 0.
   * Default: `0`.
   */
  level: number
  /**
   * A code block's language if the page says it.
   * Default: `""`.
   */
  lang: string
}

/** A page reduced to its main content as a list of blocks. The record's key is tenant_id. */
export interface PageProcessed {
  /**
   * The tenant that owns the page; equals the record's key.
   */
  tenant_id: string
  /**
   * UUIDv5 of (tenant, canonical URL): the page's identity.
   */
  source_id: string
  /**
   * The page's address as fetched.
   */
  url: string
  /**
   * The address that identifies the page for this tenant.
   */
  canonical_url: string
  /**
   * Kind of knowledge; part of the chunks' unique key.
   * Default: `"website"`.
   */
  chunk_type: string
  /**
   * The page's version; the newest wins.
   */
  version: bigint
  /**
   * What became of the page.
   * Default: `"FETCHED"`.
   */
  status: ProcessedStatus
  /**
   * The page's title, without the site's name where that could be told.
   * Default: `""`.
   */
  title: string
  /**
   * BCP 47 tag as the page declares it (or as detected), empty if unknown.
   * Default: `""`.
   */
  language: string
  /**
   * SHA-256 (hex) over title and blocks, normalised; equal content has an equal hash.
   * Default: `""`.
   */
  content_hash: string
  /**
   * When the page was fetched, microseconds since the epoch.
   * Default: `0`.
   */
  fetched_at: bigint
  /**
   * The crawl that fetched the page; empty: none.
   * Default: `""`.
   */
  crawl_id: string
  /**
   * Name and version of what extracted the blocks, for people.
   * Default: `""`.
   */
  extractor: string
  /**
   * Grows with the extractor: of one page version, what a newer extractor made of it wins.
   * Default: `0`.
   */
  extractor_version: number
  /**
   * The main content in reading order.
   * Default: `[]`.
   */
  blocks: Block[]
}

export type ControlCommand = 'NONE' | 'PAUSE' | 'RESUME' | 'LIMIT' | 'BREAKER'

export type BreakerPhase = 'NONE' | 'CLOSED' | 'OPEN' | 'HALF_OPEN'

/** A command to every instance, kept until replaced (the topic is compacted; the record's key names what is commanded, an empty value lifts it). */
export interface PipelineControl {
  /**
   * What to do. PAUSE: take no work of stage, tenant_id and partition; RESUME: the same as an empty value; LIMIT: budget may use value; BREAKER: the fleet's circuit breaker of dependency changed.
   */
  command: ControlCommand
  /**
   * The stage meant; empty: all.
   * Default: `""`.
   */
  stage: string
  /**
   * The tenant meant; empty: all.
   * Default: `""`.
   */
  tenant_id: string
  /**
   * The partition meant; -1: all.
   * Default: `-1`.
   */
  partition: number
  /**
   * Why, for people.
   * Default: `""`.
   */
  reason: string
  /**
   * Who gave the command.
   * Default: `""`.
   */
  issued_by: string
  /**
   * When it was given, microseconds since the epoch.
   * Default: `0`.
   */
  issued_at: bigint
  /**
   * LIMIT: what is limited: embedding_requests, embedding_tokens, crawler_records, processor_records, chunker_records (per second), embedding_slots, database_slots (at once).
   * Default: `""`.
   */
  budget: string
  /**
   * LIMIT: the total over all instances, per second or at once; negative: no limit, whatever the instances' environment says.
   * Default: `-1`.
   */
  value: number
  /**
   * BREAKER: whose circuit: postgres, embeddings, …
   * Default: `""`.
   */
  dependency: string
  /**
   * BREAKER: CLOSED: requests pass; OPEN: none is sent; HALF_OPEN: only the probe of instance is.
   * Default: `"NONE"`.
   */
  breaker_state: BreakerPhase
  /**
   * BREAKER: grows with each change; a record counts only when its term is above the one before, so of two with equal terms the first in the log counts.
   * Default: `0`.
   */
  term: bigint
  /**
   * BREAKER: OPEN: no probe before this long; HALF_OPEN: the probe's holder is given up after it. Milliseconds from when the record was written.
   * Default: `0`.
   */
  duration_ms: bigint
  /**
   * BREAKER: probes that failed in a row: the next wait doubles with each.
   * Default: `0`.
   */
  failures: number
  /**
   * BREAKER: the instance that wrote the record; HALF_OPEN: that holds the probe.
   * Default: `""`.
   */
  instance: string
}
