/** Asking for crawls and watching them until their pages are searchable. */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { classifyPostgres } from '../connectors/postgres/errors.ts'
import { jobProgress } from '../connectors/postgres/frontier.ts'
import type { JobProgress } from '../connectors/postgres/frontier.ts'
import { normalizeUrl } from '../streams/1-crawler/url.ts'
import { UserError } from '../streams/errors.ts'
import { stageLag, totalLag } from './lag/offsets.ts'
import type { Services } from './services.ts'

export interface CrawlWish {
  readonly tenant: string
  readonly urls: readonly string[]
  readonly maxPages?: number | undefined
  readonly maxDepth?: number | undefined
  readonly chunkType?: string | undefined
}

/** @throws UserError for a URL that is none and for an empty tenant: wrong use, seen before anything is started. */
export function checkWish({ tenant, urls }: CrawlWish): void {
  const bad = urls.filter((url) => normalizeUrl(url) === undefined)
  if (bad.length > 0)
    throw new UserError(
      `not an http(s) URL without credentials: ${bad.join(', ')}`,
      'Give absolute URLs, such as https://example.com/',
      2,
    )
  if (tenant.trim() === '') throw new UserError('the tenant must not be empty', 'Name one: --tenant acme', 2)
}

/** @returns the crawl's id. @throws UserError as `checkWish` does, before anything is emitted. */
export async function emitCrawl({ codec, producer, config, tracing }: Services, wish: CrawlWish): Promise<string> {
  checkWish(wish)
  const crawlId = randomUUID()
  await producer.connect()
  const topic = `${config.topicPrefix}crawl.requests`
  const value = await codec.encode('crawl.requests', {
    tenant_id: wish.tenant,
    urls: wish.urls,
    crawl_id: crawlId,
    max_pages: wish.maxPages ?? 0,
    max_depth: wish.maxDepth ?? -1,
    chunk_type: wish.chunkType ?? 'website',
    requested_at: BigInt(Date.now()) * 1000n,
  })
  await tracing.send({ topic, tenantId: wish.tenant, count: 1 }, undefined, (trace) =>
    producer.produce([{ topic, key: wish.tenant, value, ...(trace && { headers: { ...trace } }) }]),
  )
  return crawlId
}

export interface CrawlState {
  /** undefined: no crawler has taken the request yet. */
  readonly job: JobProgress | undefined
  /** Records of the tenant's partition that wait for the processor and for the chunker. */
  readonly toProcess: bigint
  readonly toChunk: bigint
  readonly searchable: boolean
}

/** Where a crawl stands. Searchable: the frontier is done, and what it published has passed both groups. */
export async function crawlState(
  { db, config }: Services,
  admin: Admin,
  tenant: string,
  crawlId: string,
): Promise<CrawlState> {
  const job = await jobProgress(db, tenant, crawlId).catch((error: unknown) => {
    throw classifyPostgres(error)
  })
  const partition = await tenantPartition(admin, `${config.topicPrefix}pages.crawled`, tenant)
  // In the order of the data's way: what has left the first when it is looked at is seen by the second look.
  const toProcess = totalLag(await stageLag(admin, 'processor', config.topicPrefix, partition))
  const toChunk = totalLag(await stageLag(admin, 'chunker', config.topicPrefix, partition))
  const searchable = job?.status === 'done' && toProcess === 0n && toChunk === 0n
  return { job, toProcess, toChunk, searchable }
}

/** Why pages of a crawl are gone, skipped, failed or tried again: `{"robots": 3, "http_503": 1}`; small fixed set of names. */
export async function crawlReasons({ db }: Services, tenant: string, crawlId: string): Promise<Record<string, number>> {
  const rows: { reason: string; pages: string }[] = await db('crawl_frontier')
    .where({ tenant_id: tenant, crawl_id: crawlId })
    .whereNotIn('reason', ['', 'not_modified', 'same_body'])
    .groupBy('reason')
    .orderBy('reason')
    .select('reason')
    .count({ pages: '*' })
  return Object.fromEntries(rows.map(({ reason, pages }) => [reason, Number(pages)]))
}

export const formatReasons = (reasons: Readonly<Record<string, number>>): string => {
  const list = Object.entries(reasons).map(([reason, pages]) => `${reason}: ${pages}`)
  return list.length > 0 ? ` (${list.join(', ')})` : ''
}

/** The partition that murmur2 gives the tenant's key. */
async function tenantPartition(admin: Admin, topic: string, tenant: string): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  const partitionMetadata = topics[0]?.partitions ?? []
  return kafkajs.Partitioners.DefaultPartitioner()({ topic, partitionMetadata, message: { key: tenant, value: null } })
}
