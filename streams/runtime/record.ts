/** One record: from Kafka's bytes to what the stage sees, and from whatever the stage does to an outcome. */
import type { KafkaMessage } from 'kafkajs'
import { DependencyUnavailable, Fenced, StageError, errorMessage } from '../errors.ts'
import type { InputRecord, Outcome, Stage } from '../outcome.ts'
import type { Assignment } from './assignments.ts'
import { readSentMs, readTravelled } from './headers.ts'
import type { Headers } from './headers.ts'
import { createHold, heldMs, isHeld } from './hold.ts'
import type { Hold } from './hold.ts'
import type { Clock } from './ports.ts'
import type { RawRecord } from './settle.ts'

export function toRawRecord(assignment: Assignment, message: KafkaMessage): RawRecord {
  const { topic, partition } = assignment.at
  // Only our own retry topics may tell of a past: a foreign producer could forge attempts and due times.
  const travelled = topic.endsWith('.retry') ? message.headers : undefined
  return {
    assignment,
    tenantId: message.key?.toString() ?? '',
    offset: BigInt(message.offset),
    key: message.key,
    value: message.value,
    headers: message.headers,
    travelled: readTravelled(travelled, { topic, partition, offset: message.offset }, Number(message.timestamp)),
  }
}

/**
 * Its bytes are views of the whole fetched batch, decompressed: a record that waits gets its own, or one small record
 * would keep a megabyte that no window counts. A copy of 50 KB costs about 10 µs, a tenth of its decoding.
 */
export function detach(raw: RawRecord): void {
  if (raw.value) raw.value = Buffer.from(raw.value)
  if (raw.key) raw.key = Buffer.from(raw.key)
  if (raw.headers) raw.headers = copyOf(raw.headers)
}

function copyOf(headers: Headers): Headers {
  const own = (value: Buffer | string) => (typeof value === 'string' ? value : Buffer.from(value))
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.map(own) : value && own(value)]),
  )
}

/** A record as its stage will see it; the signal comes with its deadline. */
export type ReadRecord<Value> = Omit<InputRecord<Value>, 'signal'>

/** @throws StageError empty_value, tenant_mismatch and the codec's; DependencyUnavailable('registry') */
export async function readRecord<Value extends { tenant_id: string }>(
  raw: RawRecord,
  decode: (value: Buffer) => Promise<Value>,
): Promise<ReadRecord<Value>> {
  if (raw.value === null) throw new StageError('empty_value', 'the record has no value')
  const value = await decode(raw.value)
  if (value.tenant_id === '' || raw.tenantId !== value.tenant_id)
    throw new StageError('tenant_mismatch', 'the record key is not its tenant_id')
  const { origin, attempt } = raw.travelled
  const id = `${origin.topic}/${origin.partition}/${origin.offset}`
  const timestampMs = readSentMs(raw.headers) ?? raw.travelled.timestampMs
  return { value, tenantId: value.tenant_id, timestampMs, id, attempt }
}

/** A record that stands at a gate at its deadline is looked at again after this. */
const HELD_BACK_MS = 5_000

interface Timing {
  readonly clock: Clock
  readonly timeoutMs: number
  /** What of its time it has stood at gates: that does not count. */
  readonly hold?: Hold
}

/**
 * The stage's outcome, within the record's deadline. A handler that never answers is left behind: its effects are all in
 * its outcome, and that is dropped.
 * @throws DependencyUnavailable, Fenced: they are no fault of the record
 */
export function handleRecord<Value, Deps>(
  stage: Stage<Value, Deps>,
  deps: Deps,
  input: ReadRecord<Value>,
  { clock, timeoutMs, hold = createHold(clock) }: Timing,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // Not aborted when the partition is lost: the outcome is kept in hand, the record may come back to this process.
    const deadline = new AbortController()
    const startMs = clock.now() - heldMs(hold)
    let cancel = clock.after(timeoutMs, late)
    function late() {
      // Waiting for a budget is no failure: with an attempt used up for it, a low limit would dead-letter good pages.
      const leftMs = timeoutMs - (clock.now() - startMs - heldMs(hold))
      if (isHeld(hold)) return void (cancel = clock.after(HELD_BACK_MS, late))
      if (leftMs > 0) return void (cancel = clock.after(leftMs, late))
      deadline.abort()
      resolve(failed(new StageError('record_timeout', `no outcome within ${timeoutMs} ms`, { retriable: true })))
    }
    function answer(outcome: Outcome) {
      cancel()
      resolve(outcome)
    }
    function fail(error: unknown) {
      cancel()
      try {
        resolve(failed(error))
      } catch (outage) {
        reject(outage)
      }
    }
    try {
      stage.handle({ ...input, signal: deadline.signal }, deps).then(answer, fail)
    } catch (error) {
      fail(error)
    }
  })
}

/** The one table of failures. @throws DependencyUnavailable, Fenced */
export function failed(error: unknown): Outcome {
  if (error instanceof DependencyUnavailable || error instanceof Fenced) throw error
  if (error instanceof StageError) return { kind: error.retriable ? 'retry' : 'reject', error }
  // A bug, or a library's surprise: it may depend on the moment, so it gets its attempts before the dead letters.
  return { kind: 'retry', error: new StageError('unexpected', errorMessage(error), { retriable: true, cause: error }) }
}
