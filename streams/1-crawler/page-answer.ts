/** What a final answer (no error, no back-off) means: a page, the news that it is gone, or nothing to publish. */
import { createHash } from 'node:crypto'
import type { PageCrawled } from '../../schemas/generated/types.ts'
import { decode } from '../2-processor/charset.ts'
import { readPageLinks } from './page-links.ts'
import type { FetchResponse, LeasedUrl, PageResult, PageState } from './ports.ts'
import { guessType, header, isPageType } from './response.ts'
import { readRobotsHeader } from './robots-directives.ts'
import { normalizeUrl } from './url.ts'

type Settled = 'host' | 'hostDelayMs'
type Without<T> = T extends unknown ? Omit<T, Settled> : never
export type Answer = Without<Exclude<PageResult, { outcome: 'retry' }>>

interface Reading {
  readonly agent: string
  readonly nowMs: number
}

export function readAnswer(lease: LeasedUrl, response: FetchResponse, { agent, nowMs }: Reading): Answer {
  const { status } = response
  if (status === 304) return { outcome: 'unchanged', reason: 'not_modified', links: undefined }
  if (status === 404 || status === 410)
    return gone(lease, response, `http_${status}`, nowMs, [], canonicalOf(lease, response))
  if (status !== 200) return { outcome: status >= 300 && status < 400 ? 'skipped' : 'failed', reason: `http_${status}` }

  const contentType = header(response.headers, 'content-type') || guessType(response.body)
  if (!contentType || !isPageType(contentType)) return { outcome: 'skipped', reason: 'content_type' }

  const tag = readRobotsHeader([response.headers['x-robots-tag'] ?? []].flat(), agent)
  const html = /html/i.test(contentType)
  const page = html && readPageLinks(decode(response.body, contentType), response.url, agent)
  const links = page && !tag.nofollow ? page.links : []
  const canonicalUrl = page ? page.canonicalUrl : canonicalOf(lease, response)
  // The page itself is meant, not the address by which it wants to be known: a noindex copy leaves its original be.
  if (tag.noindex || (page && page.noindex))
    return gone(lease, response, 'noindex', nowMs, links, canonicalOf(lease, response))

  const bodyHash = createHash('sha256').update(response.body).digest('hex')
  if (lease.previous?.bodyHash === bodyHash) return { outcome: 'unchanged', reason: 'same_body', links }
  const state = { ...validators(lease, response), bodyHash, version: nextVersion(lease, nowMs), links }
  return published('fetched', '', lease, state, { response, contentType, canonicalUrl, nowMs })
}

function gone(
  lease: LeasedUrl,
  response: FetchResponse,
  reason: string,
  nowMs: number,
  links: readonly string[],
  canonicalUrl: string,
): Answer {
  const state = { etag: '', lastModified: '', bodyHash: '', version: nextVersion(lease, nowMs), links }
  return published('gone', reason, lease, state, { response, contentType: '', canonicalUrl, nowMs })
}

interface Publication {
  readonly response: FetchResponse
  readonly contentType: string
  readonly canonicalUrl: string
  readonly nowMs: number
}

function published(
  outcome: 'fetched' | 'gone',
  reason: string,
  lease: LeasedUrl,
  page: PageState,
  what: Publication,
): Answer {
  const { response, contentType, canonicalUrl, nowMs } = what
  const value: PageCrawled = {
    tenant_id: lease.tenantId,
    url: response.url,
    body: outcome === 'gone' ? Buffer.alloc(0) : response.body,
    content_type: contentType,
    chunk_type: lease.chunkType,
    version: page.version,
    status: outcome === 'gone' ? 'GONE' : 'FETCHED',
    canonical_url: canonicalUrl,
    fetched_at: BigInt(nowMs) * 1000n,
    http_status: response.status,
    etag: page.etag,
    last_modified: page.lastModified,
    crawl_id: lease.crawlId,
    depth: lease.depth,
  }
  return { outcome, reason, page, records: [{ topic: 'pages.crawled', tenantId: lease.tenantId, value }] }
}

/** Fetch time in microseconds, yet always beyond the last one: clocks step back, two fetches share a millisecond. */
function nextVersion(lease: LeasedUrl, nowMs: number): bigint {
  const now = BigInt(Math.round(nowMs)) * 1000n
  return now > lease.version ? now : lease.version + 1n
}

const canonicalOf = (lease: LeasedUrl, response: FetchResponse) => normalizeUrl(response.url) ?? lease.url

/** After a redirect they speak of another URL than the one that will be asked for next time. */
function validators(lease: LeasedUrl, { url, headers }: FetchResponse) {
  if (url !== lease.url) return { etag: '', lastModified: '' }
  return { etag: header(headers, 'etag'), lastModified: header(headers, 'last-modified') }
}
