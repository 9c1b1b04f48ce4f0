import { mkdir, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { stageNames } from '../../streams/topology.ts'
import { bringUp, demoDataDir } from '../bring-up.ts'
import { readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { checkWish, crawlReasons, emitCrawl, watchCrawl } from '../crawls.ts'
import type { CrawlState, CrawlWish } from '../crawls.ts'
import { lockFolder } from '../embedded/lock.ts'
import { foreground } from '../foreground.ts'
import type { Life } from '../foreground.ts'
import { createLogger, secretsOf } from '../logger.ts'
import { startPipeline } from '../pipeline.ts'
import { createProgress } from '../progress.ts'
import { sampleQuestions, startSampleSite } from '../sample-site/site.ts'
import type { Services } from '../services.ts'
import { createTally } from '../tally.ts'
import type { Tally } from '../tally.ts'
import { prepareDemoConsole } from './demo-console.ts'
import { printSummary } from './demo-summary.ts'
import type { Crawl } from './demo-summary.ts'
import { note, paint } from './output.ts'
import type { Output } from './output.ts'
import { lookAhead } from './look-ahead.ts'
import { startupReport } from './startup-report.ts'

interface Options extends Output {
  readonly keep?: boolean
  readonly maxPages?: number
}

const POLL_MS = 200
/** Somebody is watching: a page that is down ends as failed within seconds, not within minutes. */
const RETRY_DELAYS_MS = [1_000, 5_000]
/** The tenant that owns a person's own pages. */
const OWN_TENANT = 'demo'

/** `sluice demo`: from nothing to answers, in one terminal. */
export function demo(urls: readonly string[], options: Options): Promise<never> {
  const base = readConfig()
  const startedMs = Date.now()
  return foreground(
    async (life) => {
      note(paint('bold', 'sluice demo: web pages → Kafka → searchable chunks in Postgres'))
      const { wishes, allowHosts } = await findPages(urls, options, base, life)
      const config = demoConfig(base, allowHosts)
      await emptyFolder(config.dataDir)
      // Records that fail are the demo's subject too, but in its summary, not between its progress lines.
      const logger = createLogger(base.logLevel === 'info' ? 'error' : base.logLevel, {}, { secrets: secretsOf(base) })
      const services = await bringUp(config, life, logger, startupReport())
      const tally = createTally()
      const operating = options.keep ? prepareDemoConsole(services, tally.observer) : undefined
      const { observer } = operating ?? tally
      const pipeline = await startPipeline(stageNames, { services, observer, onFatal: life.fail })
      life.defer('stages', pipeline.stop)
      const address = await operating?.open(pipeline, life)
      if (address) note(`  ${paint('green', '✓')} console     ${address}`)
      const crawls = await crawlAll(services, wishes, tally)
      await printSummary({
        services,
        tally,
        crawls,
        questions: urls.length === 0 ? sampleQuestions : [],
        startedMs,
        json: options.json,
      })
      // A crawl that brought nothing has failed, however orderly it ended.
      if (crawls.every(({ job }) => job.fetched === 0)) process.exitCode = 1
      if (!options.keep) return
      note(
        `\n${paint('green', 'still up')} until Ctrl-C: ${address}\nIn another terminal: SLUICE_DATA_DIR=${config.dataDir} npx sluice …`,
      )
      await life.stopped
    },
    { codeOnSignal: options.keep ? 0 : 130 },
  )
}

/** The person's URLs for one tenant, or the sample site for its three. */
async function findPages(urls: readonly string[], { maxPages }: Options, { crawler }: Config, life: Life) {
  if (urls.length > 0) {
    checkWish({ tenant: OWN_TENANT, urls })
    const reachable = await lookAhead(urls, crawler)
    return { wishes: [{ tenant: OWN_TENANT, urls: reachable, maxPages }], allowHosts: [] }
  }
  const site = await startSampleSite({})
  life.defer('sample site', site.close)
  const wishes: CrawlWish[] = site.tenants.map(({ tenant, url }) => ({ tenant, urls: [url], maxPages }))
  return { wishes, allowHosts: site.tenants.map(({ url }) => new URL(url).host) }
}

/** Loopback is refused to the crawler; the sample site's own host:port is the one exception the demo makes by itself. */
function demoConfig(base: Config, allowHosts: readonly string[]): Config {
  return {
    ...base,
    dataDir: demoDataDir(base),
    crawler: {
      ...base.crawler,
      retryDelaysMs: RETRY_DELAYS_MS,
      allowHosts: [...base.crawler.allowHosts, ...allowHosts],
    },
  }
}

/** Each demo starts from nothing; one that is still running keeps its folder. */
async function emptyFolder(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true })
  const release = lockFolder(dataDir)
  try {
    await rm(dataDir, { recursive: true, force: true })
  } finally {
    release()
  }
}

async function crawlAll(services: Services, wishes: readonly CrawlWish[], tally: Tally): Promise<Crawl[]> {
  note('')
  const progress = createProgress()
  const admin = services.kafka('demo').admin()
  await admin.connect()
  try {
    const ids = await Promise.all(wishes.map((wish) => emitCrawl(services, wish)))
    const looks = wishes.map(({ tenant }, i) => watchCrawl(services, admin, tenant, ids[i]!))
    for (;;) {
      const states = await Promise.all(looks.map((look) => look()))
      progress.show(stageCounts(states, tally))
      if (states.every(({ searchable }) => searchable)) {
        progress.end()
        return await Promise.all(
          wishes.map(async ({ tenant }, i) => ({
            tenant,
            job: states[i]!.job!,
            reasons: await crawlReasons(services, tenant, ids[i]!),
          })),
        )
      }
      await sleep(POLL_MS)
    }
  } finally {
    await admin.disconnect()
  }
}

function stageCounts(states: readonly CrawlState[], tally: Tally) {
  const admitted = states.reduce((sum, { job }) => sum + (job?.admitted ?? 0), 0)
  const published = ['fetched', 'gone'].reduce(
    (sum, outcome) => sum + (tally.stage('crawler').outcomes[outcome] ?? 0),
    0,
  )
  // A page is published before the crawler counts it as done, so the next stage may be ahead of the count.
  const known = (done: number) => ({ done, total: Math.max(published, done) })
  return [
    { name: 'crawled', done: tally.stage('crawler').count, total: admitted },
    { name: 'processed', ...known(tally.stage('processor').count) },
    { name: 'searchable', ...known(tally.stage('chunker').count) },
  ]
}
