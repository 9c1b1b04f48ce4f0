/** Putting URLs into a crawl: each once, never more than the crawl's limit. */
import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import type { FrontierAdmission } from '../../streams/writes.ts'
import { refreshHosts } from './frontier-hosts.ts'
import { lockTenants } from './tenants.ts'

export interface NewUrl {
  readonly url: string
  readonly depth: number
}

interface Job {
  readonly tenant_id: string
  readonly id: string
  readonly max_pages: number
  readonly admitted: number
}

export const hashOf = (url: string): Buffer => createHash('sha256').update(url).digest()

/**
 * Start URLs of a crawl, in the caller's transaction. A redelivered request changes nothing; another request with the
 * same crawl id adds its URLs under the limits, and in the trace, of the first one.
 * @returns how many URLs were new; null: the tenant is deleted.
 */
export async function admitCrawl(trx: Knex.Transaction, admission: FrontierAdmission): Promise<number | null> {
  const { tenantId, crawlId, urls, maxPages, maxDepth, chunkType, trace } = admission
  if ((await lockTenants(trx, [tenantId])).size > 0) return null
  await trx('crawl_jobs')
    .insert({
      ...{ tenant_id: tenantId, id: crawlId, chunk_type: chunkType, max_pages: maxPages, max_depth: maxDepth },
      ...(trace && { traceparent: trace.traceparent, tracestate: trace.tracestate ?? '' }),
    })
    .onConflict(['tenant_id', 'id'])
    .ignore()
  const job = (await lockJob(trx, tenantId, crawlId))!
  // The epoch: due at once, whatever clock leases go by.
  const hosts = await admitUrls(
    trx,
    job,
    urls.map((url) => ({ url, depth: 0 })),
    new Date(0),
  )
  await refreshHosts(trx, hosts)
  const after = await trx<Job>('crawl_jobs').where({ tenant_id: tenantId, id: crawlId }).first('admitted')
  return after!.admitted - job.admitted
}

/** Serialises a crawl's admissions, so that counting and inserting are one step. */
export const lockJob = (trx: Knex.Transaction, tenantId: string, crawlId: string): Promise<Job | undefined> =>
  trx<Job>('crawl_jobs').where({ tenant_id: tenantId, id: crawlId }).forUpdate().first()

/** Inserts what is new, up to the limit, under the lock of `job`. @returns the hosts that got work. */
export async function admitUrls(
  trx: Knex.Transaction,
  job: Job,
  candidates: readonly NewUrl[],
  dueAt: Date,
): Promise<string[]> {
  const room = job.max_pages - job.admitted
  if (room <= 0 || candidates.length === 0) return []
  const fresh = (await unknown(trx, job, candidates)).slice(0, room)
  if (fresh.length === 0) return []
  await trx.raw(
    `insert into crawl_frontier (tenant_id, crawl_id, url_hash, url, host, depth, not_before)
     select ?, ?, * , ?::timestamptz from unnest(?::bytea[], ?::text[], ?::text[], ?::int[])`,
    [
      job.tenant_id,
      job.id,
      dueAt,
      fresh.map(({ url }) => hashOf(url)),
      fresh.map(({ url }) => url),
      fresh.map(({ url }) => new URL(url).host),
      fresh.map(({ depth }) => depth),
    ],
  )
  await trx('crawl_jobs')
    .where({ tenant_id: job.tenant_id, id: job.id })
    .update({ admitted: trx.raw('admitted + ?', [fresh.length]), status: 'running', updated_at: trx.fn.now() })
  return [...new Set(fresh.map(({ url }) => new URL(url).host))]
}

async function unknown(trx: Knex.Transaction, job: Job, candidates: readonly NewUrl[]): Promise<NewUrl[]> {
  const byHash = new Map(candidates.map((candidate) => [hashOf(candidate.url).toString('hex'), candidate]))
  const { rows } = await trx.raw<{ rows: { hash: string }[] }>(
    `select encode(url_hash, 'hex') as hash from crawl_frontier
     where tenant_id = ? and crawl_id = ? and url_hash = any(?::bytea[])`,
    [job.tenant_id, job.id, [...byHash.keys()].map((hash) => Buffer.from(hash, 'hex'))],
  )
  for (const { hash } of rows) byHash.delete(hash)
  return [...byHash.values()]
}
