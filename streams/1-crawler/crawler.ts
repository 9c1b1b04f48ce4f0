/** A crawl request becomes start URLs in the frontier; fetching them is the crawl loop's work, not this record's. */
import type { CrawlRequest } from '../../schemas/generated/types.ts'
import { StageError } from '../errors.ts'
import type { Stage } from '../outcome.ts'
import { normalizeUrl } from './url.ts'

/** A single record cannot ask for more; a larger crawl is several requests. */
const MAX_PAGES_LIMIT = 100_000
const MAX_DEPTH_LIMIT = 100

export interface CrawlerDeps {
  /** Where the request says 0. */
  readonly maxPages: number
  /** Where the request says -1. */
  readonly maxDepth: number
}

export const crawler: Stage<CrawlRequest, CrawlerDeps> = {
  orderKey: (request) => request.crawl_id,

  handle: async ({ value, tenantId, id }, { maxPages, maxDepth }) => {
    const urls = [...new Set(value.urls.map((url) => normalizeUrl(url)).filter((url) => url !== undefined))]
    if (urls.length === 0)
      return {
        kind: 'reject',
        error: new StageError('crawl_request_invalid', 'the request holds no absolute http(s) URL'),
      }
    return {
      kind: 'store',
      write: {
        type: 'frontier',
        tenantId,
        // The record's own identity: a redelivery names the same crawl and so changes nothing.
        crawlId: value.crawl_id || id,
        urls,
        maxPages: Math.min(MAX_PAGES_LIMIT, value.max_pages > 0 ? value.max_pages : maxPages),
        maxDepth: Math.min(MAX_DEPTH_LIMIT, value.max_depth >= 0 ? value.max_depth : maxDepth),
        chunkType: value.chunk_type || 'website',
      },
    }
  },
}
