/** Turns an outcome into its effect: produce, write, retry or dead letter. The only place that does; see also record-settler.ts. */
import { retryTopic } from '../../schemas/topics.ts'
import type { ConsumedTopic } from '../../schemas/topics.ts'
import { StageError } from '../errors.ts'
import type { OutgoingRecord, Outcome } from '../outcome.ts'
import { untraced } from '../trace.ts'
import type { Tracer } from '../trace.ts'
import type { Assignment } from './assignments.ts'
import { createEmit } from './emit.ts'
import { writeTravelled } from './headers.ts'
import type { Headers, Travelled } from './headers.ts'
import type { Clock, Observer, OutgoingMessage, Produce, StoreWrite, WriteResult } from './ports.ts'
import type { Writer } from './writer.ts'

/** A record as it came from Kafka, bytes untouched: what a retry or a dead letter carries on. */
export interface RawRecord {
  readonly assignment: Assignment
  /** The record's key; empty: it has none, and is refused. */
  readonly tenantId: string
  readonly offset: bigint
  key: Buffer | null
  value: Buffer | null
  headers: Headers | undefined
  readonly travelled: Travelled
}

interface Dependencies {
  readonly stage: string
  readonly from: ConsumedTopic
  readonly prefix: string
  readonly produce: Produce
  readonly encode: (topic: OutgoingRecord['topic'], value: object) => Promise<Buffer>
  /** null: the stage has no store. */
  readonly writer: Writer | null
  /** Delays before attempts 2, 3, …; one more failure goes to the dead letters. */
  readonly retryDelaysMs: readonly number[]
  readonly clock: Clock
  readonly observer: Observer
  readonly tracer?: Tracer
}

export type Settle = (outcome: Outcome, raw: RawRecord) => Promise<string>

/** Resolves, with what was done, once the effect is durable: only then may the offset move. */
export function createSettle(deps: Dependencies): Settle {
  const { stage, from, prefix, produce, encode, writer, retryDelaysMs, clock, observer, tracer = untraced } = deps

  const send = createEmit({ prefix, encode, produce })

  /** The trace goes on with what came of the record. */
  async function emit(records: readonly OutgoingRecord[], headers: Headers | undefined): Promise<void> {
    const [first] = records
    if (!first) return
    const to = { topic: prefix + first.topic, tenantId: first.tenantId, count: records.length }
    await tracer.send(to, headers, (trace) => send(records, trace && { ...trace }))
  }
  async function store(write: StoreWrite, raw: RawRecord): Promise<WriteResult> {
    if (!writer) throw new StageError('no_store', `stage ${stage} returned a write but has no ledger in the topology`)
    const trace = tracer.carry(raw.headers)
    const result = await writer.write(raw.assignment, raw.offset, trace ? { ...write, trace } : write)
    observer.stored?.(stage, write, result)
    return result
  }
  async function fail(error: StageError, raw: RawRecord, mayRetry: boolean): Promise<string> {
    const delayMs = mayRetry ? retryDelaysMs[raw.travelled.attempt - 1] : undefined
    await produce([delayMs === undefined ? deadLetter(error, raw) : again(error, raw, delayMs)])
    return delayMs === undefined ? 'dead-letter' : 'retry'
  }
  function again(error: StageError, raw: RawRecord, delayMs: number): OutgoingMessage {
    const nowMs = clock.now()
    const failure = { error, nowMs, attempt: raw.travelled.attempt + 1, dueMs: nowMs + delayMs }
    return carryOn(prefix + retryTopic(from), raw, writeTravelled(raw.headers, raw.travelled, failure))
  }
  function deadLetter(error: StageError, raw: RawRecord): OutgoingMessage {
    const failure = { error, nowMs: clock.now(), attempt: raw.travelled.attempt }
    return carryOn(`${prefix}${from}.dlq`, raw, writeTravelled(raw.headers, raw.travelled, failure))
  }
  return async (outcome, raw) => {
    switch (outcome.kind) {
      case 'emit':
        await emit(outcome.records, raw.headers)
        return 'emit'
      case 'store': {
        const result = await store(outcome.write, raw)
        // After COMMIT and before the offset's commit: a crash in between delivers the record, and this event, again.
        await emit(outcome.announce?.(result) ?? [], raw.headers)
        return result.change
      }
      case 'done':
        if (outcome.records) await emit(outcome.records, raw.headers)
        return outcome.reason
      case 'retry':
        return fail(outcome.error, raw, true)
      case 'reject':
        return fail(outcome.error, raw, false)
      default:
        return outcome satisfies never
    }
  }
}

/** The ORIGINAL bytes and key, on the same partition number, so that a tenant's records stay together. */
function carryOn(topic: string, raw: RawRecord, headers: Headers): OutgoingMessage {
  return { topic, partition: raw.assignment.at.partition, key: raw.key, value: raw.value, headers }
}
