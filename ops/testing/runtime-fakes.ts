/** Stand-ins for what surrounds the runtime: a consumer, a batch's payload, a log. Each records what was done to it. */
import type { EachBatchPayload, KafkaMessage } from 'kafkajs'
import type { Dependency } from '../../streams/errors.ts'
import type { Assignment } from '../../streams/runtime/assignments.ts'
import type { Breaker } from '../../streams/runtime/dependency-watch.ts'
import type { Headers } from '../../streams/runtime/headers.ts'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { Logger, TopicPartition } from '../../streams/runtime/ports.ts'
import { createWatermark } from '../../streams/runtime/watermark.ts'
import type { Gate, Release } from '../../streams/throttle/ports.ts'

export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}
export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>()
}

export function fakeLogger(): Logger & { lines: { level: string; details: object; message?: string }[] } {
  const lines: { level: string; details: object; message?: string }[] = []
  const at = (level: string) => (details: object, message?: string) =>
    void lines.push({ level, details, ...(message === undefined ? {} : { message }) })
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Remembers calls as `pause topic/0`; throws when one does not name its partitions. */
export function fakeConsumer() {
  const calls: string[] = []
  const paused = new Set<string>()
  type Partitions = { topic: string; partitions?: number[] }[]
  const note = (what: string, list: Partitions) => {
    for (const { topic, partitions } of list) {
      if (!partitions?.length) throw new Error(`${what} without naming partitions`)
      for (const partition of partitions) {
        const key = partitionKey({ topic, partition })
        calls.push(`${what} ${key}`)
        if (what === 'pause') paused.add(key)
        else paused.delete(key)
      }
    }
  }
  return {
    calls,
    paused,
    pause: (list: Partitions) => note('pause', list),
    resume: (list: Partitions) => note('resume', list),
  }
}

export const partition = (number = 0, topic = 'pages.crawled'): TopicPartition => ({ topic, partition: number })

/** A ready assignment that starts at offset 0. */
export function fakeAssignment(overrides: Partial<Assignment> & { start?: bigint } = {}): Assignment {
  const { start = 0n, ...rest } = overrides
  return {
    at: partition(),
    alive: true,
    ready: true,
    epoch: 1n,
    watermark: createWatermark(start),
    position: start,
    end: start,
    until: null,
    ledger: null,
    committed: start,
    committedAtMs: 0,
    probing: false,
    ...rest,
  }
}

export interface FakeMessage {
  readonly offset: number
  readonly key?: string | null
  readonly value?: string | null
  readonly headers?: Headers
}

export function kafkaMessage({ offset, key = 'acme', value = '{}', headers }: FakeMessage): KafkaMessage {
  return {
    offset: String(offset),
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp: '1700000000000',
    attributes: 0,
    headers: { ...headers },
  }
}

interface PayloadOptions {
  readonly at?: TopicPartition
  readonly messages: readonly FakeMessage[]
  readonly highWatermark?: number
  /** First and last offset as kafkajs sees them: control records count, which never become messages. */
  readonly firstOffset?: number
  readonly lastOffset?: number
  readonly heartbeat?: () => Promise<void>
  /** Called before the commit is noted; throws to refuse it. */
  readonly commit?: (offset: bigint) => void | Promise<void>
}

export function fakePayload(options: PayloadOptions) {
  const { at = partition(), messages, heartbeat = async () => {}, commit } = options
  const committed: bigint[] = []
  const resolved: bigint[] = []
  let heartbeats = 0
  const first = options.firstOffset ?? messages[0]!.offset
  const last = options.lastOffset ?? messages.at(-1)!.offset
  const payload: EachBatchPayload = {
    batch: {
      ...at,
      highWatermark: String(options.highWatermark ?? last + 1),
      messages: messages.map(kafkaMessage),
      isEmpty: () => messages.length === 0,
      firstOffset: () => String(first),
      lastOffset: () => String(last),
      offsetLag: () => '0',
      offsetLagLow: () => '0',
    },
    resolveOffset: (offset) => void resolved.push(BigInt(offset)),
    heartbeat: async () => {
      heartbeats += 1
      await heartbeat()
    },
    commitOffsetsIfNecessary: async (offsets) => {
      for (const { topic, partitions } of offsets?.topics ?? []) {
        for (const entry of partitions) {
          if (topic !== at.topic || entry.partition !== at.partition) throw new Error('commit of another partition')
          await commit?.(BigInt(entry.offset))
          committed.push(BigInt(entry.offset))
        }
      }
    },
    pause: () => () => {},
    uncommittedOffsets: () => ({ topics: [] }),
    isRunning: () => true,
    isStale: () => false,
  }
  return { payload, committed, resolved, heartbeats: () => heartbeats }
}

/** At most `limit` at once, first come first served; `held`: nobody passes. */
export function fakeGate(limit = 8): Gate & { held: boolean; inFlight: () => number } {
  const waiting: { pass: (release: Release) => void; tenantId: string }[] = []
  let running = 0
  const pass = (): Release => {
    running += 1
    let released = false
    return () => {
      if (released) return
      released = true
      running -= 1
      next()
    }
  }
  function next() {
    while (!gate.held && running < limit && waiting.length > 0) waiting.shift()!.pass(pass())
  }
  const gate: ReturnType<typeof fakeGate> = {
    held: false,
    inFlight: () => running,
    tryAcquire: () => (gate.held || running >= limit || waiting.length > 0 ? undefined : pass()),
    acquire: ({ tenantId }, signal) =>
      new Promise((resolve, reject) => {
        const one = { pass: resolve, tenantId }
        waiting.push(one)
        signal?.addEventListener('abort', () => {
          waiting.splice(waiting.indexOf(one), 1)
          reject(signal.reason)
        })
        next()
      }),
    waitMs: () => ({ ms: 0, reason: 'slots' }),
    cooldown: () => {},
    shut: () => {},
    probing: () => {},
    figures: () => ({
      inFlight: running,
      limit,
      waiting: waiting.length,
      tenants: new Set(waiting.map(({ tenantId }) => tenantId)).size,
      heldBy: null,
      waitedMs: { rate: 0, tenant: 0, slots: 0, adaptive: 0, cooldown: 0 },
      oldestWaitMs: 0,
    }),
    close: () => {},
  }
  return gate
}

/** A circuit breaker in the hands of the test. */
export function fakeBreaker() {
  const listeners = new Set<() => void>()
  const failures: string[] = []
  let state: ReturnType<Breaker['state']> = { kind: 'closed', sinceMs: 0, probeIsMine: false }
  return {
    failures,
    set: (kind: 'closed' | 'open' | 'half-open', probeIsMine = false) => {
      state = { kind, sinceMs: 0, probeIsMine }
      for (const call of listeners) call()
    },
    successes: 0,
    sends: 0,
    state: () => state,
    failed: ({ message }: { message: string }) => void failures.push(message),
    succeeded() {
      this.successes += 1
    },
    sent() {
      this.sends += 1
    },
    onChange: (call: () => void) => {
      listeners.add(call)
      return () => void listeners.delete(call)
    },
  }
}
export function fakeBreakers(): Record<Dependency, ReturnType<typeof fakeBreaker>> {
  return { kafka: fakeBreaker(), registry: fakeBreaker(), postgres: fakeBreaker(), embeddings: fakeBreaker() }
}
