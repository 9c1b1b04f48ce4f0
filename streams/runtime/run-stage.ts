/** One stage of this instance: its consumer, producer and admin client wired to the loop, from start to drain. */
import { randomUUID } from 'node:crypto'
import { retryTopic } from '../../schemas/topics.ts'
import { topology } from '../topology.ts'
import { untraced } from '../trace.ts'
import { createAssignments } from './assignments.ts'
import { createCommitter } from './commit.ts'
import { drain, letGo } from './drain.ts'
import { createIntake } from './intake.ts'
import { createConsumer, createMembership } from './membership.ts'
import { createRuns } from './partition-runs.ts'
import { createPauseScheduler } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import { createRecordSettler } from './record-settler.ts'
import { createReplayEnd } from './replay.ts'
import { createSettle } from './settle.ts'
import type { RunningStage, StageDependencies } from './stage-ports.ts'
import { createWriter } from './writer.ts'

export type { Orders, PartitionState, RunningStage, StageSettings } from './stage-ports.ts'

export async function runStage<Value extends { tenant_id: string }, Deps>(
  d: StageDependencies<Value, Deps>,
): Promise<RunningStage> {
  const { name, kafka, settings, clock, logger, observer, prefix, orders, tracer = untraced } = d
  const edge = topology[name]
  const { replay } = d
  const topic = prefix + edge.from
  const group = replay?.group ?? prefix + edge.group
  // What fails in a replay is tried again by the live stage, whose retry topic it is.
  const subscribed = replay ? [topic] : [topic, prefix + retryTopic(edge.from)]
  const owner = randomUUID()
  let draining = false

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
    ...(replay && {
      ranges: replay.ranges,
      onHalt: (at, reason) => end?.fail(new Error(`${partitionKey(at)} of the replay is not in the log: ${reason}`)),
    }),
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
    tracer,
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
  const committer = createCommitter({
    flush,
    consumer,
    clock,
    logger,
  })
  const end = replay && createReplayEnd({ replay, topic, positions: d.positions, clock, logger })
  const runs = createRuns<Value, Deps>({
    name,
    stage: d.stage,
    deps: d.deps,
    decode: (value) => d.codec.decode(edge.from, value) as Promise<Value>,
    scheduler,
    gate: d.gate,
    settled: (raw, work) => {
      const { tenantId, offset, headers } = raw
      const record = { stage: name, group, ...raw.assignment.at, offset, tenantId, headers }
      return tracer.record(record, () => settled(raw, work))
    },
    tenantPaused: (tenantId) => orders.isTenantPaused(name, tenantId),
    draining: () => draining,
    lane: d.lane ?? (replay ? 'replay' : 'live'),
    ...(replay?.accepts && { accepts: replay.accepts }),
    inHand: new Map(),
    space: { bytes: 0 },
    onSettled: committer.settled,
    clock,
    recordTimeoutMs: settings.recordTimeoutMs,
    maxRetryDelayMs: Math.max(0, ...settings.retryDelaysMs),
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

  const membership = createMembership({
    consumer,
    clock,
    onJoined: (partitions) => {
      logger.info({ stage: name, partitions: partitions.length }, 'partitions assigned')
      committer.joined()
      assignments.replace(partitions)
      runs.closeLost()
      obey()
      d.onAssigned?.()
    },
    // What is settled is committed while the broker still takes it from this generation.
    onRebalancing: () => void committer.commitNow(),
    onDead: (error) => {
      if (!draining) d.onFatal(error)
    },
  })
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => intake.passed(payload))
  await d.positions.connect()
  await consumer.connect()
  await consumer.subscribe({ topics: subscribed, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    // Above the partitions that one member owns: more only costs idle promises, fewer would let partitions wait.
    partitionsConsumedConcurrently: 64,
    eachBatch: intake.batch,
  })
  end?.start()

  return {
    name,
    assignments: assignments.all,
    partitions: () =>
      assignments.all().map((assignment) => ({
        ...assignment.at,
        reasons: scheduler.reasons(assignment.at),
        dependencies: d.watch.dependenciesOf(assignment.at),
        next: assignment.watermark.next(),
        end: assignment.end,
        settledAhead: assignment.watermark.ahead(),
        committedAtMs: assignment.committedAtMs,
        ...runs.stateOf(assignment),
      })),
    isAlive: () =>
      membership.signAgeMs() < settings.rebalanceTimeoutMs * 2 && runs.longestWorkMs() < settings.recordTimeoutMs * 4,
    isReady: () => membership.isJoined() && !draining,
    heartbeatAgeMs: membership.heartbeatAgeMs,
    pausedMs: scheduler.pausedMs,
    gate: d.gate,
    finished: end?.finished ?? new Promise(() => {}),
    stop: async () => {
      draining = true
      cancelOrders()
      // Fetched on, the backlog would come, be left alone and come again, at the cost of what is being drained.
      for (const { at } of assignments.all()) scheduler.pause(at, 'operator')
      const drained = await drain({
        ...{ runs, committer, clock, isJoined: membership.isJoined },
        disconnect: () => consumer.disconnect(),
        deadlineMs: settings.drainTimeoutMs,
      })
      if (!drained)
        logger.warn({ stage: name }, 'drain deadline passed: leaving work unfinished, it will be redelivered')
      // Nothing of it may claim, probe or wait at a gate any more.
      assignments.replace([])
      runs.closeLost()
      committer.close()
      end?.close()
      scheduler.close()
      await letGo(d.positions.close(), clock)
      return drained
    },
  }
}
