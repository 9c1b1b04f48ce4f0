/** Wires stages to their ports and runs them in this process. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPositionReader } from '../connectors/kafka/positions.ts'
import { createFrontier } from '../connectors/postgres/frontier.ts'
import { createGatedFrontier } from '../connectors/postgres/gated.ts'
import { requireUniqueIndex } from '../connectors/postgres/index-check.ts'
import { createGuardedFetch } from '../connectors/web/guarded-fetch.ts'
import { createRobots } from '../connectors/web/robots.ts'
import { createExtractPool } from '../connectors/workers/extract-pool.ts'
import { MAX_PAGE_BYTES } from '../schemas/topics.ts'
import { createCrawlLoop } from '../streams/1-crawler/crawl-loop.ts'
import type { Permits } from '../streams/1-crawler/crawl-loop.ts'
import { crawler } from '../streams/1-crawler/crawler.ts'
import { createPageFetcher } from '../streams/1-crawler/page-fetcher.ts'
import type { LeasedUrl, PageResult } from '../streams/1-crawler/ports.ts'
import { processor } from '../streams/2-processor/processor.ts'
import { chunker } from '../streams/3-chunker/chunker.ts'
import type { Stage } from '../streams/outcome.ts'
import { createEmit } from '../streams/runtime/emit.ts'
import { createDependencyWatch } from '../streams/runtime/dependency-watch.ts'
import type { DependencyWatch } from '../streams/runtime/dependency-watch.ts'
import { whileHeld } from '../streams/runtime/hold.ts'
import { systemClock } from '../streams/runtime/ports.ts'
import type { Observer } from '../streams/runtime/ports.ts'
import type { Replay } from '../streams/runtime/replay.ts'
import { runStage } from '../streams/runtime/run-stage.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import { partitionKey } from '../streams/runtime/ports.ts'
import { stageNames, topology } from '../streams/topology.ts'
import type { StageName } from '../streams/topology.ts'
import { createPipelineReporter } from './lag/pipeline-reporter.ts'
import { stageLogger } from './logger.ts'
import type { Services } from './services.ts'
import { tracedFetch } from './tracing/around.ts'

export interface PipelineObserver extends Observer {
  readonly crawled?: (lease: LeasedUrl, result: PageResult) => void
}

export interface Pipeline {
  readonly stages: readonly RunningStage[]
  /** Dependencies that partitions of this process wait for. */
  readonly outages: DependencyWatch['outages']
  /** Drains every stage within its deadline. @returns whether all of them made it. */
  readonly stop: () => Promise<boolean>
}

interface Options {
  readonly services: Services
  readonly observer: PipelineObserver
  /** A stage died and will not come back. */
  readonly onFatal: (error: Error) => void
}
/** One stage over a bounded part of its topic, as a replay has it. */
export interface ReplayedStage {
  readonly range: Replay
  /** Stands around the stage: sees each of its records, and what is made of it. */
  readonly around: <Value, Deps>(stage: Stage<Value, Deps>) => Stage<Value, Deps>
  /** false: an estimate, which takes no part in the fleet's budgets. */
  readonly leases: boolean
}

interface Wiring extends Options {
  readonly watch: DependencyWatch
  readonly replay?: ReplayedStage
}

interface Running {
  readonly stage: RunningStage
  readonly stop: () => Promise<boolean>
}

/** In a group of its own and in the lane that yields. It owns nothing that is live, so it carries no part of a floor. */
export async function startReplay(
  name: StageName,
  { replay, ...options }: Options & { readonly replay: ReplayedStage },
): Promise<RunningStage> {
  const { throttle, producer, config, logger } = options.services
  const watch = createWatch({ config, throttle, logger })
  await producer.connect()
  if (replay.leases) await throttle.start({ isWanted: watch.isWanted, owned: () => ({ owned: [], of: 0 }) })
  const wiring = { ...options, watch, replay }
  // Requests are admitted to the frontier; fetching what is in it stays with the live crawlers.
  const running = name === 'crawler' ? await startAdmission(wiring) : await starters[name](wiring)
  return {
    ...running.stage,
    stop: async () => {
      const drained = await running.stop()
      watch.close()
      return drained
    },
  }
}

export async function startPipeline(names: readonly StageName[], options: Options): Promise<Pipeline> {
  const { throttle, producer } = options.services
  const watch = createWatch(options.services)
  let stages: readonly RunningStage[] = []
  const reporter = createPipelineReporter(options.services, () => stages)
  const observer: PipelineObserver = {
    ...options.observer,
    settled: (stage, ...rest) => {
      reporter.settled(stage)
      options.observer.settled?.(stage, ...rest)
    },
  }
  await producer.connect()
  const partitions = await countPartitions(options.services)
  await throttle.start({ isWanted: watch.isWanted, owned: (name) => ownedBy(stages, name, partitions[name]) })
  const started = await Promise.allSettled(names.map((name) => starters[name]({ ...options, observer, watch })))
  const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failed = started.find((one) => one.status === 'rejected')
  if (failed) {
    // Left running, they would work on beside the cleanup of what they stand on.
    await Promise.allSettled(running.map(({ stop }) => stop()))
    watch.close()
    throw failed.reason
  }
  stages = running.map(({ stage }) => stage)
  throttle.ownershipChanged()
  reporter.start()
  return {
    stages,
    outages: watch.outages,
    stop: async () => {
      const drained = await Promise.all(running.map(({ stop }) => stop()))
      watch.close()
      await reporter.close()
      return drained.every(Boolean)
    },
  }
}

const createWatch = ({ config, throttle, logger }: Pick<Services, 'config' | 'throttle' | 'logger'>) =>
  createDependencyWatch({
    breakers: throttle.breakers,
    // Every request to these tells their breaker how it went.
    reportedElsewhere: new Set(['embeddings', 'postgres']),
    clock: systemClock,
    logger,
    pauseMs: config.runtime.breathMs,
  })

/** Partitions of a stage's topic that this process owns: they carry its part of the budgets when it is cut off. */
function ownedBy(stages: readonly RunningStage[], name: StageName, of: number) {
  const { from } = topology[name]
  const mine = stages.find((stage) => stage.name === name)?.assignments() ?? []
  const partitions = mine.filter(({ at }) => at.topic.endsWith(from)).map(({ at }) => at)
  // A topic may have got more partitions since they were counted: counted short, the parts would add up to more than all.
  const most = Math.max(of, ...partitions.map(({ partition }) => partition + 1))
  return { owned: partitions.map(partitionKey), of: most }
}

/** As the broker has them: a topic may have been made with another number than is configured. */
async function countPartitions({ kafka, config }: Services): Promise<Record<StageName, number>> {
  const admin = kafka('partitions').admin()
  await admin.connect()
  try {
    const names = stageNames.map((name) => config.topicPrefix + topology[name].from)
    const { topics } = await admin.fetchTopicMetadata({ topics: names })
    const count = (name: StageName) =>
      topics.find((one) => one.name === config.topicPrefix + topology[name].from)?.partitions.length ?? 0
    return Object.fromEntries(stageNames.map((name) => [name, count(name)])) as Record<StageName, number>
  } finally {
    await admin.disconnect()
  }
}

const starters: Record<StageName, (wiring: Wiring) => Promise<Running>> = {
  crawler: startCrawler,
  processor: startProcessor,
  chunker: startChunker,
}

function start<Value extends { tenant_id: string }, Deps>(
  name: StageName,
  stage: Stage<Value, Deps>,
  deps: Deps,
  { services, observer, onFatal, watch, replay }: Wiring,
): Promise<RunningStage> {
  const { config, throttle } = services
  return runStage<Value, Deps>({
    name,
    stage: replay ? replay.around(stage) : stage,
    ...(replay && { replay: replay.range, lane: 'replay' }),
    deps,
    kafka: services.kafka(name),
    positions: createPositionReader(services.kafka(`${name}-positions`)),
    produce: services.producer.produce,
    codec: services.codec,
    store: services.store,
    prefix: config.topicPrefix,
    settings: {
      ...config.kafka,
      ...config.runtime,
      // As many transactions stand at the gate as it lets through, one at least: who never asks is never given a slot.
      writeConcurrency: () => Math.max(1, throttle.gates.database.figures().limit ?? 2),
    },
    gate: throttle.gates[name],
    ...(name === 'chunker' && { takesOf: throttle.takesOf }),
    watch,
    orders: throttle.orders,
    onAssigned: throttle.ownershipChanged,
    clock: systemClock,
    logger: stageLogger(services.logger, name),
    observer: {
      ...observer,
      settled: (stage, outcome, detail) => {
        services.tracing.note({ 'sluice.outcome': outcome, 'error.type': detail.code })
        observer.settled?.(stage, outcome, detail)
      },
    },
    tracer: services.tracing,
    onFatal,
  })
}

async function startCrawler(options: Wiring): Promise<Running> {
  const { services, observer } = options
  const { config, logger, db, throttle, tracing } = services
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
  const emit = createEmit({
    prefix: config.topicPrefix,
    encode: services.codec.encode,
    produce: services.producer.produce,
  })
  const loop = createCrawlLoop({
    frontier: createGatedFrontier(createFrontier({ db, slotsOf, floorMs }), services.passage),
    permits: crawlPermits(services),
    pausedTenants: () => throttle.orders.pausedTenants('crawler'),
    fetchPage: createPageFetcher({
      fetch: tracedFetch(web.fetch, tracing),
      robots: createRobots({ fetch: web.fetch, clock, userAgent }),
      clock,
      agent: userAgent.split('/')[0]!,
      maxBytes: MAX_PAGE_BYTES,
      floorMs,
      retryDelaysMs: settings.retryDelaysMs,
    }),
    publish: (records, { tenantId, trace }) =>
      tracing.send({ topic: `${config.topicPrefix}pages.crawled`, tenantId, count: records.length }, trace, (headers) =>
        emit(records, headers && { ...headers }),
      ),
    around: ({ tenantId, crawlId, url, trace }, work) =>
      tracing.page(trace, { 'sluice.tenant_id': tenantId, 'sluice.crawl_id': crawlId, 'url.full': url }, work),
    clock,
    logger: stageLogger(logger, 'crawler'),
    owner: randomUUID(),
    maxInFlight: settings.maxInFlight,
    leaseMs: settings.leaseMs,
    pollMs: settings.pollMs,
    onResult: (lease, result) => {
      tracing.note({ 'sluice.outcome': result.outcome, 'sluice.reason': result.reason })
      observer.crawled?.(lease, result)
    },
  })
  const { stage } = await startAdmission({
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
  const obey = () => (throttle.orders.isPaused('crawler', -1) ? loop.pause() : loop.resume())
  const cancelOrders = throttle.orders.onChange(obey)
  obey()
  // A turn that waits at the gate of the database is held back, not hung.
  const turns = () =>
    loop.turnAgeMs() < config.kafka.rebalanceTimeoutMs * 2 || throttle.gates.database.figures().waiting > 0
  return {
    stage: { ...stage, isAlive: () => stage.isAlive() && turns() },
    stop: async () => {
      cancelOrders()
      const [, drained] = await Promise.all([loop.stop(config.runtime.drainTimeoutMs / 2), stage.stop()])
      await web.close()
      return drained
    },
  }
}

/** Crawl requests into the frontier: the crawler's part that reads from Kafka. */
async function startAdmission(options: Wiring): Promise<Running> {
  const { maxPages, maxDepth } = options.services.config.crawler
  const stage = await start('crawler', crawler, { maxPages, maxDepth }, options)
  return { stage, stop: () => stage.stop() }
}

async function startProcessor(options: Wiring): Promise<Running> {
  const { workers, extractTimeoutMs, workerMemoryMb } = options.services.config.processor
  const pool = createExtractPool({ workers, timeoutMs: extractTimeoutMs, memoryMb: workerMemoryMb })
  const stage = await start('processor', processor, { extract: pool.extract }, options)
  return {
    stage,
    stop: async () => {
      const drained = await stage.stop()
      await pool.close()
      return drained
    },
  }
}

async function startChunker(options: Wiring): Promise<Running> {
  const { config, db, store, embeddings } = options.services
  await requireUniqueIndex(db)
  const { childTokens, parentTokens } = config.chunker
  const { model, dimensions } = config.embeddings
  const deps = {
    readSource: store.readSource,
    storedVectors: store.storedVectors,
    // Its requests end by themselves, each in its own time; what may take long is their turn at the gate.
    embed: (...given: Parameters<typeof embeddings.embed>) => whileHeld(() => embeddings.embed(...given)),
    config: { childTokens, parentTokens, model, dimensions },
  }
  const stage = await start('chunker', chunker, deps, options)
  return { stage, stop: () => stage.stop() }
}

/** Pages fetched are a stage's records too: before one is leased, its budget says so. */
function crawlPermits({ throttle }: Services): Permits {
  const gate = throttle.gates.crawl
  const ask = { tenantId: '', lane: 'live', cost: 1, takes: { crawler_records: 1 } } as const
  return {
    take: () => {
      const release = gate.tryAcquire(ask)
      return release && ((used) => release(used ? undefined : { kind: 'unsent', latencyMs: 0 }))
    },
    nextInMs: () => gate.waitMs(ask).ms,
  }
}
