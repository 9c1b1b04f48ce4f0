/** One stage of this instance: its consumer, producer and admin client wired to the loop, from start to drain. */
import { randomUUID } from 'node:crypto'
import type { Consumer, Kafka } from 'kafkajs'
import { retryTopic } from '../../schemas/topics.ts'
import { errorMessage } from '../errors.ts'
import type { OutgoingRecord, Outcome, Stage } from '../outcome.ts'
import type { Gate, Lane } from '../throttle/ports.ts'
import { topology } from '../topology.ts'
import type { StageName } from '../topology.ts'
import { createAssignments } from './assignments.ts'
import type { Assignment } from './assignments.ts'
import { createCommitter } from './commit.ts'
import type { DependencyWatch } from './dependency-watch.ts'
import { createIntake } from './intake.ts'
import { createRuns } from './partition-runs.ts'
import { createPauseScheduler } from './pause-scheduler.ts'
import type { PauseReason } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import type { Clock, Logger, Observer, Produce, Store, TopicPartition, PositionReader } from './ports.ts'
import { createRecordSettler } from './record-settler.ts'
import { createSettle } from './settle.ts'
import { createWriter } from './writer.ts'

/** Between two tries to commit while draining. */
const DRAIN_RETRY_MS = 250

export interface StageSettings {
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly maxWaitMs: number
  readonly maxBytesPerPartition: number
  readonly recordTimeoutMs: number
  readonly drainTimeoutMs: number
  readonly retryDelaysMs: readonly number[]
  readonly resumeGapMs: number
  readonly writeConcurrency: () => number
}

/** What operators have commanded. */
export interface Orders {
  /** Why, if this partition of the stage (or all of it) is paused by a command. */
  readonly isPaused: (stage: string, partition: number) => boolean
  readonly isTenantPaused: (stage: string, tenantId: string) => boolean
  readonly pausedTenants: (stage: string) => readonly string[]
  readonly onChange: (call: () => void) => () => void
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
  /** Decides which record of which tenant is worked on next, and when. */
  readonly gate: Gate
  readonly lane?: Lane
  /** Work stands at a gate behind this stage, of a dependency. */
  readonly isHeldBack?: () => boolean
  readonly takesOf?: (tenantId: string, cost: number) => Readonly<Record<string, number>> | undefined
  readonly watch: DependencyWatch
  readonly orders: Orders
  /** After every change of what this member owns. */
  readonly onAssigned?: () => void
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: Observer
  /** The consumer died and will not come back: the process must end, or it would live on idle. */
  readonly onFatal: (error: Error) => void
}

/** One partition as an operator wants to see it. */
export interface PartitionState extends TopicPartition {
  readonly reasons: readonly { readonly reason: PauseReason; readonly sinceMs: number }[]
  /** Next offset to settle, and the end of the log as the last fetch showed it. */
  readonly next: bigint
  readonly end: bigint
  readonly inFlight: number
  /** Timestamp of the oldest record that was fetched and is not settled. */
  readonly oldestRecordMs: number | undefined
}

export interface RunningStage {
  readonly name: StageName
  readonly assignments: () => Assignment[]
  readonly partitions: () => PartitionState[]
  /** The consumer's loop turns, and no record has been under way for far longer than any may take. */
  readonly isAlive: () => boolean
  /** Member of its group and not draining. */
  readonly isReady: () => boolean
  /** Milliseconds that partitions were paused, by reason. */
  readonly pausedMs: () => Readonly<Record<PauseReason, number>>
  readonly gate: Gate
  /** Starts nothing new, finishes and commits what is in flight, leaves the group; true: within the deadline. */
  readonly stop: () => Promise<boolean>
}

export async function runStage<Value extends { tenant_id: string }, Deps>(
  d: Dependencies<Value, Deps>,
): Promise<RunningStage> {
  const { name, kafka, settings, clock, logger, observer, prefix, orders, isHeldBack = () => false } = d
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
    onResume: (at) => {
      observer.resumed?.(name, at)
      runs.kick(at)
    },
  })
  const assignments = createAssignments({
    scheduler,
    claim: edge.ledger ? (partitions) => d.store.claim(group, partitions, owner) : null,
    positions: (partitions) => d.positions.read(group, partitions),
    seek: ({ topic, partition }, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    clock,
    logger,
    retryMs: 1_000,
    onLost: () => runs.closeLost(),
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
  const { settled, flush } = createRecordSettler({
    name,
    assignments,
    scheduler,
    watch: d.watch.forStage(scheduler),
    settle,
    writer,
    clock,
    logger,
    observer,
  })
  const committer = createCommitter({ flush, clock, logger })
  const runs = createRuns<Value, Deps>({
    name,
    stage: d.stage,
    deps: d.deps,
    decode: (value) => d.codec.decode(edge.from, value) as Promise<Value>,
    scheduler,
    gate: d.gate,
    settled,
    tenantPaused: (tenantId) => orders.isTenantPaused(name, tenantId),
    draining: () => draining,
    lane: d.lane ?? 'live',
    inHand: new Map<string, Promise<Outcome>>(),
    space: { bytes: 0 },
    onSettled: committer.settled,
    clock,
    recordTimeoutMs: settings.recordTimeoutMs,
    isHeldBack,
    ...(d.takesOf && { takesOf: d.takesOf }),
  })
  const intake = createIntake({
    assignments,
    runOf: runs.of,
    scheduler,
    committer,
    logBounds: async ({ at }) => {
      const bounds = (await d.positions.read(group, [at])).get(partitionKey(at))
      if (!bounds) throw new Error(`the bounds of ${partitionKey(at)} are not known`)
      return bounds
    },
    draining: () => draining,
    logger,
  })
  const obey = () => {
    for (const { at } of assignments.all())
      if (orders.isPaused(name, at.partition)) scheduler.pause(at, 'operator')
      else scheduler.lift(at, 'operator')
    runs.kickAll()
  }
  const cancelOrders = orders.onChange(obey)

  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const { memberAssignment } = payload
    const partitions = Object.entries(memberAssignment).flatMap(([topic, list]) =>
      list.map((partition) => ({ topic, partition })),
    )
    logger.info({ stage: name, partitions: partitions.length }, 'partitions assigned')
    joined = true
    lastSignMs = clock.now()
    committer.joined()
    assignments.replace(partitions)
    runs.closeLost()
    obey()
    d.onAssigned?.()
  })
  const { FETCH, HEARTBEAT, END_BATCH_PROCESS } = consumer.events
  for (const event of [FETCH, HEARTBEAT, END_BATCH_PROCESS] as const)
    consumer.on(event, () => {
      lastSignMs = clock.now()
    })
  // What is settled is committed while the broker still takes it from this generation.
  consumer.on(consumer.events.REBALANCING, () => void committer.commitNow())
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
    eachBatch: intake,
  })

  /** Work that began ends and is committed while we are still a member; then the group is left. */
  async function drain() {
    await runs.idle()
    while (!(await committer.commitNow()) && joined)
      await new Promise<void>((resolve) => void clock.after(DRAIN_RETRY_MS, resolve))
    await consumer.disconnect()
  }
  return {
    name,
    assignments: assignments.all,
    partitions: () =>
      assignments.all().map((assignment) => ({
        ...assignment.at,
        reasons: scheduler.reasons(assignment.at),
        next: assignment.watermark.next(),
        end: assignment.end,
        ...runs.stateOf(assignment),
      })),
    isAlive: () =>
      clock.now() - lastSignMs < settings.rebalanceTimeoutMs * 2 &&
      (isHeldBack() || clock.now() - (runs.oldestStartMs() ?? clock.now()) < settings.recordTimeoutMs * 4),
    isReady: () => joined && !draining,
    pausedMs: scheduler.pausedMs,
    gate: d.gate,
    stop: async () => {
      draining = true
      cancelOrders()
      // Fetched on, the backlog would come, be left alone and come again, at the cost of what is being drained.
      for (const { at } of assignments.all()) scheduler.pause(at, 'operator')
      // stop() waits for ever on a hung handler: past the deadline we leave, safely, as commits follow the writes.
      const drained = await within(drain(), settings.drainTimeoutMs, clock)
      if (!drained) {
        logger.warn({ stage: name }, 'drain deadline passed: leaving work unfinished, it will be redelivered')
        await within(consumer.disconnect(), 2_000, clock)
      }
      // Nothing of it may claim, probe or wait at a gate any more.
      assignments.replace([])
      runs.closeLost()
      committer.close()
      scheduler.close()
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
