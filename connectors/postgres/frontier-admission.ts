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
 * Start URLs of crawls, in the caller's transaction. A redelivered request changes nothing; another request with the
 * same crawl id adds its URLs under the limits, and in the trace, of the first one.
 *
 * Locks in one order, whatever the requests' order: tenants, jobs by name, hosts by name. One request after another
 * would take the next one's job while it holds the hosts of the last, and deadlock with whoever ends a page of it.
 * @returns for each how many URLs were new; null: the tenant is deleted.
 */
export async function admitCrawls(
  trx: Knex.Transaction,
  admissions: readonly FrontierAdmission[],
): Promise<(number | null)[]> {
  const deleted = await lockTenants(trx, [...new Set(admissions.map(({ tenantId }) => tenantId))])
  const known = admissions.filter(({ tenantId }) => !deleted.has(tenantId))
  for (const admission of known.toSorted(byJob)) {
    await ensureJob(trx, admission)
    await lockJob(trx, admission.tenantId, admission.crawlId)
  }
  const hosts: string[] = []
  const admitted = new Map<FrontierAdmission, number>()
  for (const admission of known) {
    const { tenantId, crawlId, urls } = admission
    const before = (await lockJob(trx, tenantId, crawlId))!
    const starts = urls.map((url) => ({ url, depth: 0 }))
    // The epoch: due at once, whatever clock leases go by.
    hosts.push(...(await admitUrls(trx, before, starts, new Date(0))))
    const after = await trx<Job>('crawl_jobs').where({ tenant_id: tenantId, id: crawlId }).first('admitted')
    admitted.set(admission, after!.admitted - before.admitted)
  }
  await refreshHosts(trx, hosts)
  return admissions.map((admission) => admitted.get(admission) ?? null)
}

const byJob = (a: FrontierAdmission, b: FrontierAdmission) =>
  compare(a.tenantId, b.tenantId) || compare(a.crawlId, b.crawlId)
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

async function ensureJob(trx: Knex.Transaction, admission: FrontierAdmission) {
  const { tenantId, crawlId, maxPages, maxDepth, chunkType, trace } = admission
  await trx('crawl_jobs')
    .insert({
      ...{ tenant_id: tenantId, id: crawlId, chunk_type: chunkType, max_pages: maxPages, max_depth: maxDepth },
      ...(trace && { traceparent: trace.traceparent, tracestate: trace.tracestate ?? '' }),
    })
    .onConflict(['tenant_id', 'id'])
    .ignore()
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
