/**
 * What a stage's handler says about one record. Stages return, the runtime acts: only `runtime/settle.ts` turns an
 * outcome into a produce, a write, a commit or a pause, so no stage ever sees a consumer or an offset.
 */
import type { TopicName } from '../schemas/topics.ts'
import type { StageError } from './errors.ts'
import type { FrontierAdmission, PageWrite, WriteResult } from './writes.ts'

/** A record to produce; its key is always the tenant's id. `value` is an object of the topic's generated type. */
export interface OutgoingRecord {
  readonly topic: TopicName
  readonly tenantId: string
  readonly value: object
}

export type Outcome =
  /** Produce these records (acks from all replicas), then commit. */
  | { readonly kind: 'emit'; readonly records: readonly OutgoingRecord[] }
  /** Apply this write in one transaction together with the ledger, then commit. */
  | {
      readonly kind: 'store'
      readonly write: PageWrite | FrontierAdmission
      /** Records to produce after COMMIT and before the offset's commit; pure, it only looks at the result. */
      readonly announce?: (result: WriteResult) => readonly OutgoingRecord[]
    }
  /** Nothing to do: already stored, superseded, not wanted. `reason` is a metric label: a small fixed set. */
  | { readonly kind: 'done'; readonly reason: string; readonly records?: readonly OutgoingRecord[] }
  /** This record failed and may succeed later: the retry topic, or the dead letters after the last attempt. */
  | { readonly kind: 'retry'; readonly error: StageError }
  /** This record will never succeed: the dead letters, now. */
  | { readonly kind: 'reject'; readonly error: StageError }

/** One record as a stage sees it: decoded, checked, without any handle on Kafka. */
export interface InputRecord<Value> {
  readonly value: Value
  readonly tenantId: string
  /** Broker's or producer's timestamp of the record, milliseconds since the epoch. */
  readonly timestampMs: number
  /** Stable identity of the record, `topic/partition/offset` of its first delivery; the same at every redelivery. */
  readonly id: string
  /** 1 at the first delivery. */
  readonly attempt: number
  /** Aborted when the record's deadline has passed: its outcome is not waited for any more. */
  readonly signal: AbortSignal
}

/** A stage: pure of brokers and databases, its ports come in as `deps`. */
export interface Stage<Value, Deps> {
  /** Records with an equal key run one after the other, in order; others of the partition run beside them. */
  readonly orderKey: (value: Value) => string
  readonly handle: (record: InputRecord<Value>, deps: Deps) => Promise<Outcome>
}
