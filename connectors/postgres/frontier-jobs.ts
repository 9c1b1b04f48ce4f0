/** Crawls as people see them. */
import type { Knex } from 'knex'

export interface JobProgress {
  readonly status: 'running' | 'done'
  readonly maxPages: number
  readonly admitted: number
  readonly fetched: number
  readonly gone: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  /** Admitted and not yet at an end. */
  readonly pending: number
}

type Counts = Omit<JobProgress, 'pending' | 'maxPages'> & { max_pages: number }

/** Undefined: no such crawl (yet). */
export async function jobProgress(db: Knex, tenantId: string, crawlId: string): Promise<JobProgress | undefined> {
  const job: Counts | undefined = await db('crawl_jobs')
    .where({ tenant_id: tenantId, id: crawlId })
    .first('status', 'max_pages', 'admitted', 'fetched', 'gone', 'unchanged', 'skipped', 'failed')
  if (!job) return undefined
  const { max_pages: maxPages, ...counts } = job
  const ended = job.fetched + job.gone + job.unchanged + job.skipped + job.failed
  return { ...counts, maxPages, pending: job.admitted - ended }
}

/** Everything that the crawler knows of a tenant; pages in flight then find their lease gone. */
export async function deleteCrawls(trx: Knex.Transaction, tenantId: string): Promise<void> {
  await trx('crawl_jobs').where({ tenant_id: tenantId }).delete()
  await trx('web_pages').where({ tenant_id: tenantId }).delete()
}
