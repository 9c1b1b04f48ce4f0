/** What a console shows, without broker and database: figures that a test sets, and actions that it can look at. */
import { createJobs } from '../console/jobs.ts'
import type { CrawlRow, DeadLetterRow, Sources, TenantRow } from '../console/ports.ts'
import type { LagRow } from '../lag/rows.ts'

type Call = readonly [name: string, ...args: unknown[]]

export function fakeSources(now = Date.now) {
  const calls: Call[] = []
  const done =
    (name: string, result: object = { done: true }) =>
    async (...args: unknown[]) => {
      calls.push([name, ...args])
      return result
    }
  const shown = {
    lag: [lagRow('chunker', 'pages.processed', 0)] as LagRow[],
    tenants: [] as TenantRow[],
    crawls: [] as CrawlRow[],
    letters: [] as DeadLetterRow[],
    pauses: [] as object[],
    breakers: [{ dependency: 'embeddings', kind: 'closed', sinceMs: 0, reason: '' }] as object[],
  }
  const sources: Sources = {
    figures: () => ({
      ...{ nowMs: now(), instance: 'test', usage: { requestsPerSecond: 1.5, tokensPerSecond: 900 }, jobs: [] },
      stages: ['crawler', 'processor', 'chunker'].map((stage) => ({
        stage,
        perSecond: 4.2,
        partitions: 4,
        inFlight: 2,
      })),
      budgets: [
        { name: 'embedding_requests', kind: 'rate', total: 10, held: 5, allowed: 5, used: 0, expiresInMs: 0 },
        { name: 'database_slots', kind: 'slots', total: null, held: 0, allowed: null, used: 3, expiresInMs: 0 },
      ],
      gates: [],
      ...{ breakers: shown.breakers, pauses: shown.pauses, limits: [] },
    }),
    sample: () => ({
      atMs: now(),
      stages: { chunker: { perSecond: 4.2, lag: 10, ageSeconds: 3 } },
      gates: { embeddings: { inFlight: 3, limit: 4, waiting: 1, held: { rate: 2.5 } } },
      usage: { requestsPerSecond: 1.5, tokensPerSecond: 900 },
      breakers: { embeddings: 'closed' },
    }),
    lag: async () => shown.lag,
    tenants: async () => shown.tenants,
    control: {
      pause: async (...args) => void (await done('pause')(...args)),
      resume: async (...args) => {
        await done('resume')(...args)
        return true
      },
      limit: async (...args) => void (await done('limit')(...args)),
    },
    crawls: {
      list: async () => shown.crawls,
      detail: async (tenant) => ({
        reasons: { robots: 1 },
        urls: [{ url: `https://x.example/${tenant}`, state: 'failed', reason: 'http_503' }],
      }),
      start: async (wish) => {
        await done('crawl')(wish)
        return 'a-crawl'
      },
    },
    deadLetters: {
      list: async () => ({
        total: shown.letters.length,
        oldestMs: shown.letters.length > 0 ? now() - 60_000 : null,
        topics: [{ topic: 'pages.crawled', open: shown.letters.length }],
        rows: shown.letters,
      }),
      show: async (topic, id) => ({ topic, id, value: { title: '<script>window.pwned = 1</script>' } }),
      redrive: done('redrive'),
      discard: done('discard'),
    },
    replays: {
      list: async () => [],
      plan: done('plan', { records: 1200, chunksInserted: 30, embeddingTokens: 4000 }),
      start: done('replay', { job: 'x' }),
      cancel: done('cancel'),
    },
    jobs: createJobs(),
  }
  return { sources, shown, calls, called: (name: string) => calls.filter(([one]) => one === name) }
}

export const lagRow = (
  stage: LagRow['stage'],
  topic: string,
  partition: number,
  more: Partial<LagRow> = {},
): LagRow => ({
  ...{ stage, group: `sluice.${stage}`, topic, partition, committed: 90, end: 100, lag: 10, oldestAgeMs: 65_000 },
  ...{ state: 'running', reasons: [], etaMs: 4_000 },
  ...more,
})

export const tenantRow = (tenant: string): TenantRow => ({
  ...{ tenant, perSecond: { chunker: 1.2 }, failures: 0, lastSeenMs: Date.now(), runningCrawls: 1, pendingUrls: 12 },
})

export const crawlRow = (tenant: string): CrawlRow => ({
  ...{ tenant, id: 'crawl-1', status: 'running', chunkType: 'website', maxPages: 100, admitted: 50, fetched: 20 },
  ...{ gone: 0, unchanged: 0, skipped: 0, failed: 1, createdMs: Date.now() - 60_000, updatedMs: Date.now() },
})

export const letterRow = (text: string): DeadLetterRow => ({
  ...{
    topic: 'pages.crawled',
    partition: 1,
    offset: '7',
    tenant: text,
    code: text,
    message: text,
    attempts: 4,
    cycle: 0,
  },
  ...{ firstFailureMs: Date.now() - 90_000, deadSinceMs: Date.now() - 60_000, bytes: 120, state: 'open' },
  ...{ url: `https://x.example/${text}`, title: text },
})
