/**
 * The frontier's worker: lease → fetch side by side → publish → complete. Publishing comes BEFORE completing, so that a
 * crash between the two costs a second fetch and never a page.
 */
import { errorMessage, StageError } from '../errors.ts'
import type { OutgoingRecord } from '../outcome.ts'
import type { FetchPage } from './page-fetcher.ts'
import type { Clock, Frontier, LeasedUrl, Logger, PageResult } from './ports.ts'

export interface CrawlLoopOptions {
  readonly frontier: Frontier
  readonly fetchPage: FetchPage
  /** Resolves when all in-sync replicas have the records. */
  readonly publish: (records: readonly OutgoingRecord[], lease: LeasedUrl) => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
  /** Names this process in the leases; unique per start. */
  readonly owner: string
  readonly maxInFlight: number
  /** Above the longest fetch: a lease that runs out is another worker's. */
  readonly leaseMs: number
  /** Longest sleep when nothing is due: other processes admit work without telling us. */
  readonly pollMs: number
  /** A page whose publishing or storing failed, and the loop after a failed lease, wait this long. */
  readonly troubleDelayMs?: number
  readonly onResult?: (lease: LeasedUrl, result: PageResult) => void
  /** Around all the work on one page: a trace. */
  readonly around?: (lease: LeasedUrl, work: () => Promise<void>) => Promise<void>
  /** Budgets stand before a page is leased, so that no lease runs out waiting for one. Without it: as fast as can be. */
  readonly permits?: Permits
  /** Tenants that an operator has paused: their pages stay in the frontier. */
  readonly pausedTenants?: () => readonly string[]
}

export interface Permits {
  /** A permit for one page, if there is one now; `used: false` gives it back. */
  readonly take: () => ((used: boolean) => void) | undefined
  /** About when the next one will be there, milliseconds. */
  readonly nextInMs: () => number
}

export interface CrawlLoop {
  readonly start: () => void
  /** There may be new work: look now. */
  readonly wake: () => void
  readonly pause: () => void
  readonly resume: () => void
  readonly inFlight: () => number
  /** Since it last looked for work, milliseconds; 0 while it is not meant to. A turn waits for Postgres at most. */
  readonly turnAgeMs: () => number
  /** Leases no more and lets pages in flight finish; after `drainMs` they are stopped and given back untried. */
  readonly stop: (drainMs: number) => Promise<void>
}

const unlimited: Permits = { take: () => () => {}, nextInMs: () => 0 }

export function createCrawlLoop(options: CrawlLoopOptions): CrawlLoop {
  const {
    frontier,
    fetchPage,
    publish,
    clock,
    logger,
    owner,
    maxInFlight,
    leaseMs,
    pollMs,
    troubleDelayMs = 5_000,
    permits = unlimited,
    pausedTenants = () => [],
    around = (_, work) => work(),
  } = options
  const pages = new Set<Promise<void>>()
  const abort = new AbortController()
  let running = false
  let paused = false
  let finished: Promise<void> = Promise.resolve()
  let bell = Promise.withResolvers<void>()
  /** No lease before this, ms since the epoch: set when Kafka or Postgres is away. */
  let quietUntilMs = 0
  let lastTurnMs = 0

  const wake = () => {
    bell.resolve()
    bell = Promise.withResolvers()
  }

  function trouble(lease: LeasedUrl | undefined, error: unknown) {
    quietUntilMs = clock.now() + troubleDelayMs
    logger.warn(
      { error: errorMessage(error), url: lease?.url, tenant: lease?.tenantId },
      'crawl loop: trying again later',
    )
  }

  /** A record that can never be published (it does not encode) would come back for ever: the page fails instead. */
  async function published(lease: LeasedUrl, result: PageResult): Promise<PageResult> {
    if (!('records' in result)) return result
    try {
      await publish(result.records, lease)
      return result
    } catch (error) {
      if (!(error instanceof StageError) || error.retriable) throw error
      return { outcome: 'failed', reason: error.code, host: result.host, hostDelayMs: result.hostDelayMs }
    }
  }

  async function run(lease: LeasedUrl) {
    try {
      const result = await published(lease, await fetchPage(lease, abort.signal))
      if (result.outcome === 'retry') await frontier.retryLater(lease, result)
      else await frontier.complete(lease, result)
      options.onResult?.(lease, result)
    } catch (error) {
      if (!abort.signal.aborted) trouble(lease, error)
      // If this fails too, the lease runs out by itself.
      await frontier.release(lease, abort.signal.aborted ? 0 : troubleDelayMs).catch(() => {})
    }
  }

  function begin(lease: LeasedUrl, giveBack: (used: boolean) => void) {
    const page = around(lease, () => run(lease)).finally(() => {
      giveBack(true)
      pages.delete(page)
      wake()
    })
    pages.add(page)
  }

  /** Leases what there is room for; returns how long there is nothing to do. */
  async function turn(): Promise<number> {
    const quietMs = quietUntilMs - clock.now()
    if (quietMs > 0) return quietMs
    if (paused || pages.size >= maxInFlight) return pollMs
    const permitted = takePermits(maxInFlight - pages.size)
    const limit = permitted.length
    if (limit === 0) return Math.max(1, Math.min(pollMs, permits.nextInMs()))
    try {
      const except = pausedTenants()
      const { leases, nextInMs } = await frontier.lease({ owner, limit, leaseMs, except })
      for (const lease of leases) begin(lease, permitted.pop()!)
      if (leases.length === limit) return 0
      // What is due may be theirs alone: not a reason to look again at once.
      return except.length > 0 ? pollMs : Math.min(pollMs, nextInMs ?? pollMs)
    } catch (error) {
      trouble(undefined, error)
      return troubleDelayMs
    } finally {
      for (const giveBack of permitted) giveBack(false)
    }
  }
  function takePermits(most: number) {
    const permitted: ((used: boolean) => void)[] = []
    for (let one = permits.take(); one; one = permitted.length < most ? permits.take() : undefined) permitted.push(one)
    return permitted
  }

  async function loop() {
    while (running) {
      // Taken before the turn: what rings during it is not missed.
      const rung = bell.promise
      lastTurnMs = clock.now()
      const idleMs = await turn()
      if (idleMs <= 0 || !running) continue
      const asleep = new AbortController()
      await Promise.race([rung, clock.sleep(idleMs, asleep.signal)])
      asleep.abort()
    }
  }

  async function drain(drainMs: number) {
    const enough = new AbortController()
    const all = Promise.all(pages)
    await Promise.race([all, clock.sleep(drainMs, enough.signal)])
    enough.abort()
    abort.abort()
    await all
  }

  return {
    start: () => {
      if (running) return
      running = true
      lastTurnMs = clock.now()
      finished = loop()
    },
    wake,
    pause: () => void (paused = true),
    resume: () => {
      paused = false
      wake()
    },
    inFlight: () => pages.size,
    turnAgeMs: () => (running ? clock.now() - lastTurnMs : 0),
    stop: async (drainMs) => {
      running = false
      wake()
      await finished
      await drain(drainMs)
    },
  }
}
