/** Wires stages to their ports and runs them in this process. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPositionReader } from '../connectors/kafka/positions.ts'
import { createFrontier } from '../connectors/postgres/frontier.ts'
import { requireUniqueIndex } from '../connectors/postgres/index-check.ts'
import { createGuardedFetch } from '../connectors/web/guarded-fetch.ts'
import { createRobots } from '../connectors/web/robots.ts'
import { createExtractPool } from '../connectors/workers/extract-pool.ts'
import { MAX_PAGE_BYTES } from '../schemas/topics.ts'
import { createCrawlLoop } from '../streams/1-crawler/crawl-loop.ts'
import { crawler } from '../streams/1-crawler/crawler.ts'
import { createPageFetcher } from '../streams/1-crawler/page-fetcher.ts'
import type { LeasedUrl, PageResult } from '../streams/1-crawler/ports.ts'
import { processor } from '../streams/2-processor/processor.ts'
import { chunker } from '../streams/3-chunker/chunker.ts'
import type { Stage } from '../streams/outcome.ts'
import { createEmit } from '../streams/runtime/emit.ts'
import { createInFlightLimit } from '../streams/runtime/in-flight.ts'
import { systemClock } from '../streams/runtime/ports.ts'
import type { Observer } from '../streams/runtime/ports.ts'
import { runStage } from '../streams/runtime/run-stage.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { StageName } from '../streams/topology.ts'
import { unenforced } from './config.ts'
import type { Services } from './services.ts'

export interface PipelineObserver extends Observer {
  readonly crawled?: (lease: LeasedUrl, result: PageResult) => void
}

export interface Pipeline {
  readonly stages: readonly RunningStage[]
  /** Drains every stage within its deadline. @returns whether all of them made it. */
  readonly stop: () => Promise<boolean>
}

interface Options {
  readonly services: Services
  readonly observer: PipelineObserver
  /** A stage died and will not come back. */
  readonly onFatal: (error: Error) => void
}

interface Running {
  readonly stage: RunningStage
  readonly stop: () => Promise<boolean>
}

export async function startPipeline(names: readonly StageName[], options: Options): Promise<Pipeline> {
  const { config, logger } = options.services
  const ignored = unenforced(config)
  if (ignored.length > 0)
    logger.warn(
      { ignored },
      'these limits are not enforced yet; EMBEDDING_MAX_IN_FLIGHT and DATABASE_MAX_IN_FLIGHT are, per process',
    )
  await options.services.producer.connect()
  const running = await Promise.all(names.map((name) => starters[name](options)))
  return {
    stages: running.map(({ stage }) => stage),
    stop: async () => (await Promise.all(running.map(({ stop }) => stop()))).every(Boolean),
  }
}

const starters: Record<StageName, (options: Options) => Promise<Running>> = {
  crawler: startCrawler,
  processor: startProcessor,
  chunker: startChunker,
}

function start<Value extends { tenant_id: string }, Deps>(
  name: StageName,
  stage: Stage<Value, Deps>,
  deps: Deps,
  maxInFlight: number,
  { services, observer, onFatal }: Options,
): Promise<RunningStage> {
  const { config } = services
  return runStage<Value, Deps>({
    name,
    stage,
    deps,
    kafka: services.kafka(name),
    positions: createPositionReader(services.kafka(`${name}-positions`)),
    produce: services.producer.produce,
    codec: services.codec,
    store: services.store,
    prefix: config.topicPrefix,
    settings: { ...config.kafka, ...config.runtime, writeConcurrency: config.postgres.maxInFlight ?? 2 },
    limit: createInFlightLimit(maxInFlight),
    clock: systemClock,
    logger: services.logger,
    observer,
    onFatal,
  })
}

async function startCrawler(options: Options): Promise<Running> {
  const { services, observer } = options
  const { config, logger, db } = services
  const settings = config.crawler
  const { userAgent, allowHosts, hostDelayMs } = settings
  const clock = {
    now: Date.now,
    sleep: (ms: number, signal: AbortSignal) => sleep(ms, undefined, { signal }).catch(() => {}),
  }
  // A host that is allowed by name is the operator's own: no pause between its pages, and several at once.
  const isOwn = (host: string) => allowHosts.includes(host) || allowHosts.includes(host.replace(/:\d+$/, ''))
  const floorMs = (host: string) => (isOwn(host) ? 0 : hostDelayMs)
  const slotsOf = (host: string) => (isOwn(host) ? settings.maxInFlight : 1)
  const web = createGuardedFetch({ allowHosts, userAgent, maxBytes: MAX_PAGE_BYTES })
  const loop = createCrawlLoop({
    frontier: createFrontier({ db, slotsOf, floorMs }),
    fetchPage: createPageFetcher({
      fetch: web.fetch,
      robots: createRobots({ fetch: web.fetch, clock, userAgent }),
      clock,
      agent: userAgent.split('/')[0]!,
      maxBytes: MAX_PAGE_BYTES,
      floorMs,
      retryDelaysMs: settings.retryDelaysMs,
    }),
    publish: createEmit({
      prefix: config.topicPrefix,
      encode: services.codec.encode,
      produce: services.producer.produce,
    }),
    clock,
    logger,
    owner: randomUUID(),
    maxInFlight: settings.maxInFlight,
    leaseMs: settings.leaseMs,
    pollMs: settings.pollMs,
    ...(observer.crawled && { onResult: observer.crawled }),
  })
  const deps = { maxPages: settings.maxPages, maxDepth: settings.maxDepth }
  const stage = await start('crawler', crawler, deps, 8, {
    ...options,
    observer: {
      ...observer,
      stored: (...args) => {
        loop.wake()
        observer.stored?.(...args)
      },
    },
  })
  loop.start()
  return {
    stage,
    stop: async () => {
      const [, drained] = await Promise.all([loop.stop(config.runtime.drainTimeoutMs / 2), stage.stop()])
      await web.close()
      return drained
    },
  }
}

async function startProcessor(options: Options): Promise<Running> {
  const { workers, extractTimeoutMs, workerMemoryMb } = options.services.config.processor
  const pool = createExtractPool({ workers, timeoutMs: extractTimeoutMs, memoryMb: workerMemoryMb })
  // More pages than workers: while some are produced (a round trip to the broker each), the workers have others to read.
  const stage = await start('processor', processor, { extract: pool.extract }, workers * 4, options)
  return {
    stage,
    stop: async () => {
      const drained = await stage.stop()
      await pool.close()
      return drained
    },
  }
}

async function startChunker(options: Options): Promise<Running> {
  const { config, db, store, embeddings } = options.services
  await requireUniqueIndex(db)
  const { childTokens, parentTokens, maxInFlight } = config.chunker
  const { model, dimensions } = config.embeddings
  const deps = {
    readSource: store.readSource,
    storedVectors: store.storedVectors,
    embed: embeddings.embed,
    config: { childTokens, parentTokens, model, dimensions },
  }
  const stage = await start('chunker', chunker, deps, maxInFlight, options)
  return { stage, stop: () => stage.stop() }
}
