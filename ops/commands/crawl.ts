import { setTimeout as sleep } from 'node:timers/promises'
import { checkWish, crawlReasons, emitCrawl, formatReasons, watchCrawl } from '../crawls.ts'
import type { CrawlState, CrawlWish } from '../crawls.ts'
import type { Services } from '../services.ts'
import { note, printRows } from './output.ts'
import type { Output } from './output.ts'
import { requireTopic } from './reachable.ts'
import { withServices } from './with-services.ts'

interface Options extends Output, Omit<CrawlWish, 'urls'> {
  readonly wait?: boolean | undefined
}

const POLL_MS = 500
/** After this long without a crawler taking the request, say so. */
const NOBODY_MS = 15_000
/** After this long without anything that moves, say where to look. */
const STILL_MS = 30_000

/** `sluice crawl`. Exit 1 when --wait ends with pages that failed, or without any page. */
export async function crawl(urls: readonly string[], options: Options): Promise<void> {
  checkWish({ ...options, urls })
  await withServices(['kafka', 'registry', ...(options.wait ? (['postgres'] as const) : [])], async (services) => {
    await requireTopic(services, 'crawl.requests')
    const crawlId = await emitCrawl(services, { ...options, urls })
    if (!options.wait) {
      printRows([{ tenant: options.tenant, crawlId }], options, () => `asked for crawl ${crawlId}`)
      return
    }
    const end = await watch(services, options.tenant, crawlId)
    const { admitted, fetched, gone, unchanged, skipped, failed } = end.job!
    const reasons = await crawlReasons(services, options.tenant, crawlId)
    const result = { tenant: options.tenant, crawlId, admitted, fetched, gone, unchanged, skipped, failed, reasons }
    const brought = fetched + unchanged > 0
    const next = brought ? `searchable: sluice search --tenant ${options.tenant} "…"` : 'no page was fetched'
    printRows([result], options, () => `${describe(end)}${formatReasons(reasons)}\n${next}`)
    if (failed > 0 || !brought) process.exitCode = 1
  })
}

async function watch(services: Services, tenant: string, crawlId: string): Promise<CrawlState> {
  const admin = services.kafka('watch').admin()
  await admin.connect()
  try {
    const startedMs = Date.now()
    const look = watchCrawl(services, admin, tenant, crawlId)
    let told = ''
    let movedMs = startedMs
    let warned = false
    for (;;) {
      const state = await look()
      // A crawl that stands still stands for a reason: a host that is away, a server that asks for patience.
      const waits = state.job && state.job.pending > 0 ? await crawlReasons(services, tenant, crawlId) : {}
      const line = `${describe(state)}${formatReasons(waits)}`
      if (line !== told) {
        note(line)
        movedMs = Date.now()
      }
      told = line
      if (state.searchable) return state
      if (state.job?.status === 'done' && Date.now() - movedMs > STILL_MS) {
        movedMs = Infinity
        note('nothing has moved for a while: `sluice lag` says why')
      }
      if (!warned && state.job === undefined && Date.now() - startedMs > NOBODY_MS) {
        warned = true
        note('no crawler has taken the request yet: is one running? (`sluice up`, or `sluice run crawler`)')
      }
      await sleep(POLL_MS)
    }
  } finally {
    await admin.disconnect()
  }
}

function describe({ job, toProcess, toChunk }: CrawlState): string {
  if (job === undefined) return 'waiting for a crawler'
  const { admitted, fetched, gone, unchanged, skipped, failed } = job
  const parts = [
    `${fetched} fetched`,
    `${gone} gone`,
    `${unchanged} unchanged`,
    `${skipped} skipped`,
    `${failed} failed`,
  ]
  return `${admitted} pages: ${parts.join(', ')}; ${toProcess} to process, ${toChunk} to chunk`
}
