/** What the runtime needs of the world: small ports, so that everything but kafkajs itself can be faked in a test. */
import type { Positions } from './start-position.ts'
import type { FrontierAdmission, PageWrite, WriteResult } from '../writes.ts'

export type { WriteResult }

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
/** Made once for each object: on the hot path, building and hashing it anew cost more than a record's own work. */
const keys = new WeakMap<TopicPartition, string>()
export function partitionKey(at: TopicPartition): string {
  let key = keys.get(at)
  if (key === undefined) {
    key = `${at.topic}/${at.partition}`
    keys.set(at, key)
  }
  return key
}

/** The part of pino's interface that is used. */
export interface Logger {
  readonly debug: (details: object, message?: string) => void
  readonly info: (details: object, message?: string) => void
  readonly warn: (details: object, message?: string) => void
  readonly error: (details: object, message?: string) => void
}

export interface Clock {
  readonly now: () => number
  /** Calls once after `ms`; returns the cancellation. */
  readonly after: (ms: number, call: () => void) => () => void
}

/** setTimeout's own limit, 24.8 days: anything above it, Infinity too, would fire after 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  after: (ms, call) => {
    const timer = setTimeout(call, Math.min(ms, MAX_TIMER_MS))
    return () => clearTimeout(timer)
  },
}

export interface OutgoingMessage {
  readonly topic: string
  readonly key: Buffer | string | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>
  /** Given for retries and dead letters, so that a record stays on the partition of its tenant. */
  readonly partition?: number
}
/** Resolves once all in-sync replicas have the messages. */
export type Produce = (messages: readonly OutgoingMessage[]) => Promise<void>

/** A stage's claim on one partition; `epoch` only grows, and the ledger refuses writes of an older one. */
export interface Claim {
  readonly epoch: bigint
  /** Next offset to process as Postgres knows it; null: never written. */
  readonly nextOffset: bigint | null
}

export interface LedgerPosition extends TopicPartition {
  readonly epoch: bigint
  readonly nextOffset: bigint
  /** What was found or written in this epoch. A row behind it means that Postgres lost rows (a failover, a backup). */
  readonly known: bigint
}

export type StoreWrite = PageWrite | FrontierAdmission

/** Durable side of a stage that writes to Postgres. */
export interface Store {
  readonly claim: (group: string, partitions: readonly TopicPartition[], owner: string) => Promise<Map<string, Claim>>
  /**
   * One transaction: every write, then the ledger rows, then COMMIT.
   * @throws Fenced when a ledger row carries a newer epoch; DependencyUnavailable; anything else is a write's own fault.
   */
  readonly transact: (
    group: string,
    writes: readonly StoreWrite[],
    ledger: readonly LedgerPosition[],
  ) => Promise<WriteResult[]>
}

export type OffsetPositions = Omit<Positions, 'ledger'>

/** What Kafka says of positions. */
export interface PositionReader {
  readonly connect: () => Promise<void>
  /** By `partitionKey`: the group's committed offset and the log's bounds. */
  readonly read: (group: string, partitions: readonly TopicPartition[]) => Promise<Map<string, OffsetPositions>>
  readonly close: () => Promise<void>
}

/** Lives outside the stages: live progress, metrics. */
export interface Observer {
  readonly settled?: (stage: string, outcome: string, detail: { code?: string; tenantId?: string; ms: number }) => void
  readonly stored?: (stage: string, write: StoreWrite, result: WriteResult) => void
  readonly paused?: (stage: string, at: TopicPartition, reason: string) => void
  readonly resumed?: (stage: string, at: TopicPartition) => void
}
