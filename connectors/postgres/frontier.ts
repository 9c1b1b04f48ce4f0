/**
 * The frontier in Postgres. Lock order, so that nothing deadlocks: the crawl's row, then its URLs, then hosts by name.
 * Leasing takes hosts first but waits for no lock (SKIP LOCKED). No transaction here waits for anything but Postgres.
 */
import type { Knex } from 'knex'
import type { Frontier, HostState, LeasedUrl, PageResult, PageState } from '../../streams/1-crawler/ports.ts'
import { admitUrls, hashOf, lockJob, type NewUrl } from './frontier-admission.ts'
import { classifyPostgres } from './errors.ts'
import { repeated } from './repeated.ts'
import { refreshHosts, saveHost } from './frontier-hosts.ts'
import { leaseRows } from './frontier-lease.ts'

export { admitCrawls } from './frontier-admission.ts'
export { deleteCrawls, type JobProgress, jobProgress } from './frontier-jobs.ts'

export interface FrontierOptions {
  readonly db: Knex
  /** How many pages of one host may be in flight at once, over all tenants and processes. */
  readonly slotsOf: (host: string) => number
  /** Least pause between two fetches from a host, milliseconds. */
  readonly floorMs: (host: string) => number
  /** Milliseconds since the epoch; default: the database's clock, which all processes share. For tests. */
  readonly now?: () => number
}

/** The moment of the transaction, bound once so that all its statements agree. */
export async function momentOf(trx: Knex.Transaction, now: (() => number) | undefined): Promise<Date> {
  if (now) return new Date(now())
  const { rows } = await trx.raw<{ rows: { now: Date }[] }>('select now() as now')
  return rows[0]!.now
}

export function createFrontier({ db, slotsOf, floorMs, now }: FrontierOptions): Frontier {
  const after = (moment: Date, ms: number) => new Date(moment.getTime() + ms)

  const lease: Frontier['lease'] = ({ owner, limit, leaseMs, except = [] }) =>
    db.transaction(async (trx) =>
      leaseRows(trx, { owner, limit, leaseMs, except, slotsOf, floorMs, moment: await momentOf(trx, now) }),
    )

  const complete: Frontier['complete'] = (leased, result) =>
    db.transaction(async (trx) => {
      const moment = await momentOf(trx, now)
      const job = await lockJob(trx, leased.tenantId, leased.crawlId)
      const state = result.outcome === 'failed' ? 'failed' : 'done'
      if (!job || !(await settleRow(trx, leased, { state, reason: result.reason }))) return false
      const links = await linksOf(trx, leased, result)
      const hosts = leased.depth < leased.maxDepth ? await admitUrls(trx, job, below(leased, links), moment) : []
      await countOutcome(trx, leased, result.outcome)
      if (result.outcome === 'fetched' || result.outcome === 'gone') await savePage(trx, leased, result.page)
      await settleHosts(trx, leased, result, moment, hosts)
      return true
    })

  const retryLater: Frontier['retryLater'] = (leased, result) =>
    db.transaction(async (trx) => {
      const moment = await momentOf(trx, now)
      const row = { state: 'queued', reason: result.reason, not_before: after(moment, result.delayMs) }
      if (!(await settleRow(trx, leased, row))) return false
      await settleHosts(trx, leased, result, moment, [])
      return true
    })

  const release: Frontier['release'] = (leased, delayMs) =>
    db.transaction(async (trx) => {
      const moment = await momentOf(trx, now)
      const row = { state: 'queued', not_before: after(moment, delayMs), attempts: leased.attempts - 1 }
      if (!(await settleRow(trx, leased, row))) return false
      await refreshHosts(trx, [leased.host])
      return true
    })

  // One wording for Postgres' errors, and never the statement itself.
  const classified =
    <Arguments extends unknown[], Result>(work: (...given: Arguments) => Promise<Result>) =>
    (...given: Arguments): Promise<Result> =>
      repeated(() => work(...given)).catch((error: unknown) => {
        throw classifyPostgres(error)
      })
  return {
    lease: classified(lease),
    complete: classified(complete),
    retryLater: classified(retryLater),
    release: classified(release),
  }
}

async function settleHosts(
  trx: Knex.Transaction,
  leased: LeasedUrl,
  { host, hostDelayMs }: { host: HostState; hostDelayMs: number },
  moment: Date,
  others: readonly string[],
) {
  // Locks all of them in order, before the first is written.
  await refreshHosts(trx, [leased.host, ...others], () => saveHost(trx, leased.host, host, hostDelayMs, moment))
}

/** The fence: only the worker whose lease it still is may write. */
async function settleRow(trx: Knex.Transaction, leased: LeasedUrl, row: object): Promise<boolean> {
  const changed = await trx('crawl_frontier')
    .where({ tenant_id: leased.tenantId, crawl_id: leased.crawlId, url_hash: hashOf(leased.url) })
    .where({ state: 'leased', lease_owner: leased.owner, attempts: leased.attempts })
    .update({ lease_owner: '', ...row })
  return changed === 1
}

const below = ({ url, depth }: LeasedUrl, links: readonly string[]): NewUrl[] =>
  links.filter((link) => link !== url).map((link) => ({ url: link, depth: depth + 1 }))

/** A 304 brings no body: the links of the page as it was last fetched still hold. */
async function linksOf(trx: Knex.Transaction, leased: LeasedUrl, result: PageResult): Promise<readonly string[]> {
  if (result.outcome === 'fetched' || result.outcome === 'gone') return result.page.links
  if (result.outcome !== 'unchanged') return []
  if (result.links) return result.links
  const key = { tenant_id: leased.tenantId, url_hash: hashOf(leased.url) }
  const page = await trx<{ links: string[] }>('web_pages').where(key).first('links')
  return page?.links ?? []
}

/** The crawl is done when every admitted URL has come to an end. */
async function countOutcome(trx: Knex.Transaction, { tenantId, crawlId }: LeasedUrl, outcome: string) {
  await trx('crawl_jobs').where({ tenant_id: tenantId, id: crawlId }).increment(outcome, 1)
  await trx.raw(
    `update crawl_jobs set updated_at = now(),
       status = case when fetched + gone + unchanged + skipped + failed >= admitted then 'done' else 'running' end
     where tenant_id = ? and id = ?`,
    [tenantId, crawlId],
  )
}

/** Two crawls may fetch one page side by side: the newer version stays. */
async function savePage(trx: Knex.Transaction, leased: LeasedUrl, page: PageState) {
  await trx.raw(
    `insert into web_pages (tenant_id, url_hash, chunk_type, etag, last_modified, body_hash, version, links)
     values (?, ?, ?, ?, ?, ?, ?, ?)
     on conflict (tenant_id, url_hash) do update set chunk_type = excluded.chunk_type, etag = excluded.etag,
       last_modified = excluded.last_modified, body_hash = excluded.body_hash, version = excluded.version,
       links = excluded.links, updated_at = now()
     where web_pages.version < excluded.version`,
    [
      leased.tenantId,
      hashOf(leased.url),
      leased.chunkType,
      page.etag,
      page.lastModified,
      page.bodyHash,
      String(page.version),
      JSON.stringify(page.links),
    ],
  )
}
