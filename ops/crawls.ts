/** Asking for crawls and watching them until their pages are searchable. */
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { classifyPostgres } from '../connectors/postgres/errors.ts'
import { jobProgress } from '../connectors/postgres/frontier.ts'
import type { JobProgress } from '../connectors/postgres/frontier.ts'
import { retryTopic } from '../schemas/topics.ts'
import type { ConsumedTopic } from '../schemas/topics.ts'
import { normalizeUrl } from '../streams/1-crawler/url.ts'
import { UserError } from '../streams/errors.ts'
import { topology } from '../streams/topology.ts'
import type { StageName } from '../streams/topology.ts'
import { stageLag, totalLag } from './lag/offsets.ts'
import type { PartitionLag } from './lag/offsets.ts'
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
  /** Records of the tenant's partition that wait for the processor and for the chunker; once the job is done, those up to its last one. */
  readonly toProcess: bigint
  readonly toChunk: bigint
  readonly searchable: boolean
}

/**
 * Where a crawl stands, each time it is asked. Searchable: the frontier is done, and what it published has passed both groups.
 * Others' pages share the partition and never end: once the job is done, only what was there before counts.
 */
export function watchCrawl(
  { db, config }: Services,
  admin: Admin,
  tenant: string,
  crawlId: string,
): () => Promise<CrawlState> {
  const attempts = config.runtime.retryDelaysMs.length
  const look = (stage: StageName, partition: number) => stageLag(admin, stage, config.topicPrefix, partition)
  const leftFor = (stage: StageName) => createPassage(topology[stage].from, attempts, (at) => look(stage, at))
  const [leftToProcess, leftToChunk] = [leftFor('processor'), leftFor('chunker')]
  return async () => {
    const job = await jobProgress(db, tenant, crawlId).catch((error: unknown) => {
      throw classifyPostgres(error)
    })
    const partition = await tenantPartition(admin, `${config.topicPrefix}pages.crawled`, tenant)
    const published = job?.status === 'done'
    // In the order of the data's way: the end of the second topic is taken when all of it has left the first.
    const toProcess = published ? await leftToProcess(partition) : totalLag(await look('processor', partition))
    const processed = published && toProcess === 0n
    const toChunk = processed ? await leftToChunk(partition) : totalLag(await look('chunker', partition))
    return { job, toProcess, toChunk, searchable: processed && toChunk === 0n }
  }
}

/**
 * What a group has to pass: its topic up to the end of the first look; then the retry topic up to its end of that moment,
 * as often as a record may be tried again, since each attempt that fails puts it behind the others there.
 * @returns records that are left up to the mark in hand; 0n: all is passed, for good.
 */
export function createPassage(
  topic: ConsumedTopic,
  attempts: number,
  look: (partition: number) => Promise<readonly PartitionLag[]>,
): (partition: number) => Promise<bigint> {
  let round = 0
  let mark: bigint | undefined
  return async (partition) => {
    while (round <= attempts) {
      const name = round === 0 ? topic : retryTopic(topic)
      // Looked at again for each round: what has left the one topic since is seen in the other.
      const row = (await look(partition)).find((one) => one.topic.endsWith(name))
      if (row) {
        mark ??= row.end
        const left = mark - (row.committed ?? row.low)
        if (left > 0n) return left
      }
      mark = undefined
      round += 1
    }
    return 0n
  }
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
