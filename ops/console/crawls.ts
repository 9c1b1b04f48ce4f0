/** Crawls as the frontier knows them; read outside of the pipeline's gate, by one console feed, every few seconds. */
import type { Services } from '../services.ts'
import { crawlReasons, emitCrawl } from '../crawls.ts'
import type { CrawlRow, Crawls } from './ports.ts'

const SHOWN_CRAWLS = 50
const SHOWN_URLS = 50

export interface CrawlSource extends Crawls {
  /** Tenants with a crawl that runs. */
  readonly perTenant: () => Promise<Map<string, { readonly running: number; readonly pending: number }>>
}

export function createCrawls(services: Services): CrawlSource {
  const { db } = services
  return {
    list: async () => {
      const { rows } = await db.raw<{ rows: (Omit<CrawlRow, 'createdMs' | 'updatedMs'> & Times)[] }>(
        `select tenant_id as tenant, id, status, chunk_type as "chunkType", max_pages as "maxPages",
           admitted, fetched, gone, unchanged, skipped, failed, created_at, updated_at
         from crawl_jobs order by created_at desc limit ?`,
        [SHOWN_CRAWLS],
      )
      return rows.map(({ created_at, updated_at, ...row }) => ({
        ...row,
        createdMs: created_at.getTime(),
        updatedMs: updated_at.getTime(),
      }))
    },
    detail: async (tenant, id) => ({
      reasons: await crawlReasons(services, tenant, id),
      urls: await db('crawl_frontier')
        .where({ tenant_id: tenant, crawl_id: id })
        .orderByRaw(`case state when 'failed' then 0 when 'leased' then 1 when 'queued' then 2 else 3 end, created_at`)
        .limit(SHOWN_URLS)
        .select('url', 'state', 'reason'),
    }),
    start: (wish) => emitCrawl(services, wish),
    perTenant: async () => {
      const { rows } = await db.raw<{ rows: { tenant: string; running: string; pending: string }[] }>(
        `select tenant_id as tenant, count(*) as running,
           sum(admitted - fetched - gone - unchanged - skipped - failed) as pending
         from crawl_jobs where status = 'running' group by tenant_id order by max(created_at) desc limit 500`,
      )
      return new Map(
        rows.map(({ tenant, running, pending }) => [tenant, { running: Number(running), pending: Number(pending) }]),
      )
    },
  }
}

interface Times {
  readonly created_at: Date
  readonly updated_at: Date
}
