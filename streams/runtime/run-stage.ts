/** One stage of this instance: its consumer, producer and admin client wired to the loop, from start to drain. */
import { randomUUID } from 'node:crypto'
import type { Consumer, Kafka } from 'kafkajs'
import { retryTopic } from '../../schemas/topics.ts'
import { errorMessage } from '../errors.ts'
import type { OutgoingRecord, Stage } from '../outcome.ts'
import { topology } from '../topology.ts'
import type { StageName } from '../topology.ts'
import { createAssignments } from './assignments.ts'
import type { Assignment } from './assignments.ts'
import { createDependencyWatch } from './dependency-watch.ts'
import type { InFlightLimit } from './in-flight.ts'
import { createPauseScheduler } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import type { Clock, Logger, Observer, Produce, Store, TopicPartition, PositionReader } from './ports.ts'
import { createSettle } from './settle.ts'
import { createSlice } from './slice.ts'
import { createWriter } from './writer.ts'

export interface StageSettings {
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly maxWaitMs: number
  readonly maxBytesPerPartition: number
  readonly sliceMs: number
  readonly recordTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly retryDelaysMs: readonly number[]
  readonly probeMinMs: number
  readonly probeMaxMs: number
  readonly resumeGapMs: number
  readonly writeConcurrency: number
}

interface Dependencies<Value, Deps> {
  readonly name: StageName
  readonly stage: Stage<Value, Deps>
  readonly deps: Deps
  /** A client of this member's own. */
  readonly kafka: Kafka
  readonly positions: PositionReader
  readonly produce: Produce
  readonly codec: {
    readonly encode: (topic: OutgoingRecord['topic'], value: object) => Promise<Buffer>
    readonly decode: (topic: (typeof topology)[StageName]['from'], value: Buffer) => Promise<object>
  }
  readonly store: Store
  readonly prefix: string
  readonly settings: StageSettings
  readonly limit: InFlightLimit
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: Observer
  /** The consumer died and will not come back: the process must end, or it would live on idle. */
  readonly onFatal: (error: Error) => void
}

export interface RunningStage {
  readonly name: StageName
  readonly assignments: () => Assignment[]
  /** The consumer's loop turns: it fetched, beat or ended a batch lately. A hung loop is silent without any error. */
  readonly isAlive: () => boolean
  /** Member of its group and not draining. */
  readonly isReady: () => boolean
  readonly outages: ReturnType<typeof createDependencyWatch>['outages']
  readonly reasons: (at: TopicPartition) => { reason: string; sinceMs: number }[]
  /** Starts nothing new, finishes and commits what is in flight, leaves the group; true: within the deadline. */
  readonly stop: () => Promise<boolean>
}

export async function runStage<Value extends { tenant_id: string }, Deps>(
  d: Dependencies<Value, Deps>,
): Promise<RunningStage> {
  const { name, kafka, settings, clock, logger, observer, prefix } = d
  const edge = topology[name]
  const group = prefix + edge.group
  const subscribed = [prefix + edge.from, prefix + retryTopic(edge.from)]
  const owner = randomUUID()
  let draining = false
  let lastSignMs = clock.now()
  let joined = false

  const consumer = createConsumer(kafka, group, settings, logger)
  const scheduler = createPauseScheduler({
    consumer,
    clock,
    resumeGapMs: settings.resumeGapMs,
    onPause: (at, reason) => observer.paused?.(name, at, reason),
    onResume: (at) => observer.resumed?.(name, at),
  })
  const watch = createDependencyWatch({ scheduler, clock, logger, ...settings })
  const assignments = createAssignments({
    scheduler,
    claim: edge.ledger ? (partitions) => d.store.claim(group, partitions, owner) : null,
    positions: (partitions) => d.positions.read(group, partitions),
    seek: ({ topic, partition }, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    clock,
    logger,
    retryMs: 1_000,
  })
  const writer = edge.ledger ? createWriter({ store: d.store, group, concurrency: settings.writeConcurrency }) : null
  const settle = createSettle({
    stage: name,
    from: edge.from,
    prefix,
    produce: d.produce,
    encode: d.codec.encode,
    writer,
    retryDelaysMs: settings.retryDelaysMs,
    clock,
    observer,
  })
  const slice = createSlice<Value, Deps>({
    ...d,
    ...settings,
    decode: (value) => d.codec.decode(edge.from, value) as Promise<Value>,
    assignments,
    scheduler,
    watch,
    settle,
    writer,
    logBounds: async ({ at }) => {
      const bounds = (await d.positions.read(group, [at])).get(partitionKey(at))
      if (!bounds) throw new Error(`the bounds of ${partitionKey(at)} are not known`)
      return bounds
    },
    draining: () => draining,
  })

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const { memberAssignment } = payload
    const partitions = Object.entries(memberAssignment).flatMap(([topic, list]) =>
      list.map((partition) => ({ topic, partition })),
    )
    logger.info({ stage: name, partitions: partitions.length }, 'partitions assigned')
    joined = true
    lastSignMs = clock.now()
    assignments.replace(partitions)
  })
  const { FETCH, HEARTBEAT, END_BATCH_PROCESS } = consumer.events
  for (const event of [FETCH, HEARTBEAT, END_BATCH_PROCESS] as const)
    consumer.on(event, () => {
      lastSignMs = clock.now()
    })
  for (const event of [consumer.events.REBALANCING, consumer.events.DISCONNECT, consumer.events.CRASH] as const)
    consumer.on(event, () => {
      joined = false
    })
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart && !draining) d.onFatal(payload.error)
  })
  await d.positions.connect()
  await consumer.connect()
  await consumer.subscribe({ topics: subscribed, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    // Above the partitions that one member owns: more only costs idle promises, fewer would let partitions wait.
    partitionsConsumedConcurrently: 64,
    eachBatch: slice,
  })

  return {
    name,
    assignments: assignments.all,
    isAlive: () => clock.now() - lastSignMs < settings.rebalanceTimeoutMs * 2,
    isReady: () => joined && !draining,
    outages: watch.outages,
    reasons: scheduler.reasons,
    stop: async () => {
      draining = true
      // stop() waits for ever on a hung handler: past the deadline we leave, safely, as commits follow the writes.
      const drained = await within(consumer.disconnect(), settings.drainTimeoutMs, clock)
      if (!drained)
        logger.warn({ stage: name }, 'drain deadline passed: leaving work unfinished, it will be redelivered')
      scheduler.close()
      watch.close()
      await within(d.positions.close(), 2_000, clock)
      return drained
    },
  }
}

function createConsumer(kafka: Kafka, groupId: string, settings: StageSettings, logger: Logger): Consumer {
  return kafka.consumer({
    groupId,
    sessionTimeout: settings.sessionTimeoutMs,
    heartbeatInterval: settings.heartbeatIntervalMs,
    rebalanceTimeout: settings.rebalanceTimeoutMs,
    maxWaitTimeInMs: settings.maxWaitMs,
    maxBytesPerPartition: settings.maxBytesPerPartition,
    allowAutoTopicCreation: false,
    retry: {
      initialRetryTime: 300,
      maxRetryTime: 5_000,
      retries: 10,
      restartOnFailure: (error) => {
        logger.warn({ error: errorMessage(error) }, 'consumer failed, restarting')
        return Promise.resolve(true)
      },
    },
  })
}

/** Whether `work` ended within `ms`; its failure counts as an end. */
async function within(work: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  let cancel = () => {}
  const late = new Promise<false>((resolve) => (cancel = clock.after(ms, () => resolve(false))))
  try {
    return await Promise.race([work.then(() => true).catch(() => true), late])
  } finally {
    cancel()
  }
}
