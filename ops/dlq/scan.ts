/** Reads a part of a topic from one end to the other, batch by batch, and holds none of it. */
import { randomUUID } from 'node:crypto'
import type { Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs'
import { DependencyUnavailable } from '../../streams/errors.ts'
import { systemClock } from '../../streams/runtime/ports.ts'

/** [from, to) of one partition. */
export interface Range {
  readonly partition: number
  readonly from: bigint
  readonly to: bigint
}

export interface ScannedRecord {
  readonly partition: number
  readonly offset: bigint
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: KafkaMessage['headers']
}

interface Scan {
  readonly kafka: Kafka
  readonly topic: string
  /** One for every partition of the topic, empty where nothing is wanted. */
  readonly ranges: readonly Range[]
  /** Takes as long as it likes. `false`: that is enough. */
  readonly onBatch: (records: readonly ScannedRecord[]) => Promise<boolean | void>
  readonly signal?: AbortSignal | undefined
}

/** The log is expected to give something within this; joining a group of one takes up to 3 s of it. */
const SILENCE_MS = 30_000
/** While a batch is being worked on the group must hear of us. */
const HEARTBEAT_MS = 2_000
const LEAVE_MS = 3_000

/**
 * kafkajs reads in groups only: each scan has one of its own, which never commits and is deleted at the end. Whatever
 * makes it join again, it reads on where it was.
 * @throws DependencyUnavailable when nothing comes for 30 s; what `onBatch` throws
 */
export async function scan({ kafka, topic, ranges, onBatch, signal }: Scan): Promise<void> {
  const left = new Map(ranges.filter(({ from, to }) => to > from).map((range) => [range.partition, { ...range }]))
  if (left.size === 0 || signal?.aborted) return
  const finished = Promise.withResolvers<void>()
  const groupId = `${topic}.scan-${randomUUID()}`
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, maxWaitTimeInMs: 250, ...HEARTBEATS })
  let over = false
  const end = (error?: unknown) => {
    over = true
    disarm()
    if (error === undefined) finished.resolve()
    else finished.reject(error)
  }
  const silent = () => end(new DependencyUnavailable('kafka', `${topic}: no record came within ${SILENCE_MS} ms`))
  let disarm = systemClock.after(SILENCE_MS, silent)
  const stop = () => end()
  signal?.addEventListener('abort', stop)

  async function read(payload: EachBatchPayload): Promise<void> {
    const records = wanted(payload, left)
    if (over || records.length === 0) return
    disarm()
    try {
      const more = await whileAlive(payload.heartbeat, onBatch(records))
      for (const { partition, offset } of records) passed(left, partition, offset)
      if (more === false || left.size === 0) return end()
      if (!over) disarm = systemClock.after(SILENCE_MS, silent)
    } catch (error) {
      end(error) // kafkajs would deliver the batch again
    }
  }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    for (const partition of payload.memberAssignment[topic] ?? []) {
      const done = ranges.find((one) => one.partition === partition)?.to ?? 0n
      consumer.seek({ topic, partition, offset: String(left.get(partition)?.from ?? done) })
    }
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachBatch: read })
    await finished.promise
  } finally {
    over = true
    disarm()
    signal?.removeEventListener('abort', stop)
    await leave(kafka, consumer, groupId)
  }
}

const HEARTBEATS = { heartbeatInterval: HEARTBEAT_MS, allowAutoTopicCreation: false }

function wanted({ batch }: EachBatchPayload, left: ReadonlyMap<number, Range>): ScannedRecord[] {
  const { partition } = batch
  const range = left.get(partition)
  if (!range) return []
  return batch.messages
    .map((message) => ({
      partition,
      offset: BigInt(message.offset),
      timestampMs: Number(message.timestamp),
      key: message.key,
      value: message.value,
      headers: message.headers,
    }))
    .filter(({ offset }) => offset >= range.from && offset < range.to)
}

function passed(left: Map<number, Range>, partition: number, offset: bigint): void {
  const range = left.get(partition)
  if (!range || offset < range.from) return
  if (offset + 1n >= range.to) left.delete(partition)
  else left.set(partition, { ...range, from: offset + 1n })
}

/** A member that is thrown out while it works joins again, and reads on where it was. */
async function whileAlive<T>(heartbeat: () => Promise<void>, work: Promise<T>): Promise<T> {
  const timer = setInterval(() => void heartbeat().catch(() => {}), HEARTBEAT_MS)
  return work.finally(() => clearInterval(timer))
}

/** Bounded: a broker that is gone must not hold up a command's end. The broker forgets an empty group by itself, days later. */
async function leave(kafka: Kafka, consumer: Consumer, groupId: string): Promise<void> {
  const left = async () => {
    await consumer.disconnect()
    const admin = kafka.admin()
    await admin.connect()
    await admin.deleteGroups([groupId]).finally(() => admin.disconnect())
  }
  const late = Promise.withResolvers<void>()
  const cancel = systemClock.after(LEAVE_MS, late.resolve)
  await Promise.race([left().catch(() => {}), late.promise]).finally(cancel)
}
