/**
 * One instance's access to pipeline.control: all of it is read, from its beginning, and each command is known well below
 * a second after it was given. kafkajs reads in groups only, so every instance has one of its own, which never commits:
 * whatever makes it join again, it reads again from the beginning, and what it has seen is left out by its offset.
 */
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs'
import type { PipelineControl } from '../../schemas/generated/types.ts'
import { DependencyUnavailable, UserError, errorMessage } from '../../streams/errors.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { Clock, Logger, Produce } from '../../streams/runtime/ports.ts'
import { applyControl, controlDefaults, emptyControl } from '../../streams/throttle/control-state.ts'
import type { ControlChannel, ControlState } from '../../streams/throttle/control-state.ts'
import { fetchBounds } from './bounds.ts'

/** The broker answers a fetch as soon as there is a record; this bounds only how long an idle one is held. */
const MAX_WAIT_MS = 250
/** A registry that is away: a command must not be skipped for it. */
const RETRY_MS = 1_000
/** A consumer that kafkajs gave up for good is replaced after this. */
const REPLACE_MS = 5_000
const CLOSE_MS = 3_000
/** Fetches in a row without a record: there is none. The end of the log may be a marker, or a tombstone long compacted. */
const EMPTY_FETCHES = 3

export interface ControlConnection extends ControlChannel {
  /** Resolves once all that was in the topic has been read. @throws UserError: there is no such topic. */
  readonly start: () => Promise<void>
  /** Leaves the group and deletes it. */
  readonly close: () => Promise<void>
}

interface Dependencies {
  readonly kafka: Kafka
  /** With its prefix. */
  readonly topic: string
  /** @throws StageError: not readable; DependencyUnavailable: not now */
  readonly decode: (value: Buffer) => Promise<object>
  readonly encode: (value: object) => Promise<Buffer>
  readonly produce: Produce
  readonly logger: Logger
  /** Unique: the group's name is made of it. */
  readonly instance: string
  readonly clock?: Clock
}

export function createControlChannel(d: Dependencies): ControlConnection {
  const { kafka, topic, encode, produce, logger, instance, clock = systemClock } = d
  const groupId = `${topic}.${instance}`
  const calls = new Set<(state: ControlState) => void>()
  const underWay = new Set<Promise<void>>()
  const caughtUp = Promise.withResolvers<void>()
  let state = emptyControl
  let nextOffset = 0n
  /** Records below it were there before us. */
  let liveFrom = 0n
  let consumer: Consumer | undefined
  let closed = false

  async function consume(): Promise<void> {
    const mine = kafka.consumer({
      groupId,
      sessionTimeout: 10_000,
      heartbeatInterval: 3_000,
      maxWaitTimeInMs: MAX_WAIT_MS,
      allowAutoTopicCreation: false,
      retry: {
        initialRetryTime: 300,
        maxRetryTime: 5_000,
        retries: 10,
        restartOnFailure: () => Promise.resolve(!closed),
      },
    })
    consumer = mine
    mine.on(mine.events.CRASH, ({ payload }) => {
      if (payload.restart || closed) return
      logger.error({ topic, error: payload.error.message }, 'commands are not read: starting over')
      clock.after(REPLACE_MS, replace)
    })
    let empty = 0
    mine.on(mine.events.FETCH, () => {
      // The next fetch is sent only once the last one's records have been worked through.
      empty = nextOffset === seenOffset ? empty + 1 : 0
      seenOffset = nextOffset
      if (empty >= EMPTY_FETCHES) caughtUp.resolve()
    })
    let seenOffset = nextOffset
    await mine.connect()
    await mine.subscribe({ topics: [topic], fromBeginning: true })
    await mine.run({ autoCommit: false, eachBatch: read })
  }
  function replace() {
    if (closed) return
    consume().catch((error: unknown) => {
      logger.warn({ topic, error: errorMessage(error) }, 'commands are still not read')
      clock.after(REPLACE_MS, replace)
    })
  }
  /** Never throws but for a rebalance: kafkajs would count it as a failure of the consumer. */
  async function read({ batch, heartbeat }: EachBatchPayload): Promise<void> {
    if (BigInt(batch.highWatermark) < nextOffset) startOver()
    let changed = false
    for (const { key, value, offset, timestamp } of batch.messages) {
      if (BigInt(offset) < nextOffset) continue
      const decoded = await decode(value, offset, heartbeat)
      if (closed) return
      nextOffset = BigInt(offset) + 1n
      if (decoded === undefined) continue
      const record = { key: key?.toString() ?? '', value: decoded, timestampMs: Number(timestamp) }
      const applied = applyControl(state, { ...record, live: BigInt(offset) >= liveFrom }, clock.now())
      if (applied.problem === undefined) {
        state = applied.state
        changed = true
      } else logger.warn({ topic, offset, key: record.key, problem: applied.problem }, 'command ignored')
    }
    if (changed) for (const call of [...calls]) call(state)
    if (nextOffset >= liveFrom) caughtUp.resolve()
  }
  /** The topic was made anew: what the old one said is lifted. */
  function startOver() {
    logger.warn({ topic }, 'the topic was made anew: all commands are lifted')
    ;[state, nextOffset, liveFrom] = [emptyControl, 0n, 0n]
  }
  /** undefined: not readable, and never will be. */
  async function decode(value: Buffer | null, offset: string, heartbeat: () => Promise<void>) {
    while (!closed) {
      try {
        return value && ((await d.decode(value)) as PipelineControl)
      } catch (error) {
        logger.warn({ topic, offset, error: errorMessage(error) }, 'a command cannot be read')
        if (!(error instanceof DependencyUnavailable)) return undefined
      }
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve))
      await heartbeat()
    }
    return undefined
  }
  async function send(key: string, value: Parameters<ControlConnection['publish']>[1]): Promise<void> {
    await produce([{ topic, key, value: value && (await encode({ ...controlDefaults, ...value })) }])
  }
  return {
    instance,
    state: () => state,
    onChange: (call) => {
      calls.add(call)
      return () => void calls.delete(call)
    },
    publish: (key, value) => {
      if (closed) return Promise.reject(new DependencyUnavailable('kafka', 'the control channel is closed'))
      const sent = send(key, value).finally(() => underWay.delete(sent))
      underWay.add(sent)
      return sent
    },
    start: async () => {
      const high = await endOf(kafka, topic)
      liveFrom = high
      // While the registry is away nothing could be written, not even that it is away, unless the schema's id is known.
      await Promise.all([consume(), encode(controlDefaults)])
      if (high > 0n) await caughtUp.promise
    },
    close: async () => {
      calls.clear()
      const leave = async () => {
        // What is still being said (a probe given back) is said; later, the producer would connect anew for it.
        await Promise.allSettled(underWay)
        closed = true
        await consumer?.disconnect()
        await deleteGroup(kafka, groupId)
      }
      const late = Promise.withResolvers<void>()
      const cancel = clock.after(CLOSE_MS, late.resolve)
      await Promise.race([leave().catch(() => {}), late.promise])
      closed = true
      cancel()
    },
  }
}

/** The offset that the next record will get; 0: there never was one. */
async function endOf(kafka: Kafka, topic: string): Promise<bigint> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    if (!(await admin.listTopics()).includes(topic))
      throw new UserError(`there is no topic ${topic}`, 'Run `sluice topics apply`.')
    const [bounds, ...more] = await fetchBounds(admin, topic)
    if (more.length > 0)
      throw new UserError(
        `${topic} has ${more.length + 1} partitions; commands need one, for their order`,
        'Make it anew with one partition.',
      )
    return bounds && bounds.high > bounds.low ? bounds.high : 0n
  } finally {
    await admin.disconnect()
  }
}

/** The broker forgets an empty group by itself, days later. */
async function deleteGroup(kafka: Kafka, groupId: string) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    await admin.deleteGroups([groupId])
  } finally {
    await admin.disconnect()
  }
}
