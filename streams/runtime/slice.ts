/**
 * One time slice over one fetched batch: decode, run pages beside each other (each page in order), settle, and commit
 * what lies below the watermark. What is left of the batch is fetched again.
 *
 * Why slices: kafkajs fetches again only when the handlers of ALL batches of a fetch have returned, so a handler that
 * works for long holds up every other partition. Why inside the handler: a rebalance waits for it, and so drains itself.
 */
import type { EachBatchPayload, KafkaMessage } from 'kafkajs'
import { StageError, errorMessage } from '../errors.ts'
import type { InputRecord, Stage } from '../outcome.ts'
import type { Assignment, Assignments } from './assignments.ts'
import { asksToRejoin, commitProgress } from './commit.ts'
import { createContiguityCheck, passTrailing } from './contiguity.ts'
import type { DependencyWatch } from './dependency-watch.ts'
import { startHeart } from './heart.ts'
import type { InFlightLimit } from './in-flight.ts'
import { createKeyedLanes } from './keyed-lanes.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Clock, Logger, Observer } from './ports.ts'
import { failed, handleRecord, readRecord, toRawRecord } from './record.ts'
import { createRecordSettler } from './record-settler.ts'
import type { RawRecord, Settle } from './settle.ts'
import type { Writer } from './writer.ts'

export interface SliceDependencies<Value extends { tenant_id: string }, Deps> {
  readonly name: string
  readonly stage: Stage<Value, Deps>
  readonly deps: Deps
  readonly decode: (value: Buffer) => Promise<Value>
  readonly assignments: Assignments
  readonly scheduler: PauseScheduler
  readonly watch: DependencyWatch
  readonly limit: InFlightLimit
  readonly settle: Settle
  readonly writer: Writer | null
  /** First offset that the log holds, and the one that its next record will get. */
  readonly logBounds: (assignment: Assignment) => Promise<{ readonly low: bigint; readonly high: bigint }>
  readonly draining: () => boolean
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: Observer
  readonly sliceMs: number
  readonly recordTimeoutMs: number
}

const HEARTBEAT_EVERY_MS = 1_000
const COMMIT_EVERY_MS = 500
/** A retry that is nearly due is waited for in place; a longer wait pauses the partition. */
const WAIT_IN_PLACE_MS = 250
/** After a failed commit or flush the same records are fetched again: not in a tight loop. */
const BREATHER_MS = 1_000

/** @returns the handler of one batch; it throws nothing but what asks kafkajs to rejoin. */
export function createSlice<Value extends { tenant_id: string }, Deps>(d: SliceDependencies<Value, Deps>) {
  const isContiguous = createContiguityCheck(d)
  const { settled, flush } = createRecordSettler(d)

  return async (payload: EachBatchPayload): Promise<void> => {
    const assignment = d.assignments.get(payload.batch)
    // An outside pause does not stop batches that were fetched already, so the gate stands here too.
    if (!assignment?.ready || d.scheduler.isPaused(assignment.at) || d.draining()) return
    if (await isContiguous(assignment, payload)) await runSlice(assignment, payload)
  }

  async function runSlice(assignment: Assignment, payload: EachBatchPayload): Promise<void> {
    const { clock } = d
    const lanes = createKeyedLanes()
    const running = new Set<Promise<void>>()
    const handlers = new AbortController()
    const heart = startHeart({
      heartbeat: payload.heartbeat,
      clock,
      everyMs: HEARTBEAT_EVERY_MS,
      patienceMs: d.recordTimeoutMs * 2,
    })
    const endsAtMs = clock.now() + d.sliceMs
    let commitAtMs = clock.now() + COMMIT_EVERY_MS
    let rejoin: unknown
    let started = 0
    let over = false
    /** For good: a pause that ends in mid-slice must not let records run after earlier ones were left out. */
    const stopped = () =>
      (over ||=
        (heart.lost() ?? rejoin) !== undefined ||
        !assignment.alive ||
        d.draining() ||
        d.scheduler.isPaused(assignment.at))
    /** A slice does one record at least, however long it waited for its place. */
    const late = () => (over ||= started > 0 && clock.now() >= endsAtMs)

    async function start(message: KafkaMessage): Promise<void> {
      const raw = toRawRecord(assignment, message)
      // Before anything can stop it: a record that begun and was left out holds the watermark.
      if (!assignment.watermark.begin(raw.offset)) return
      await untilDue(raw)
      if (stopped()) return
      const release = await d.limit.acquire()
      heart.progress()
      if (stopped() || late()) return release()
      const { input, key } = await read(raw, handlers.signal)
      let queued = false
      const run = async () => {
        if (stopped() || (queued && late())) return
        started += 1
        const timing = { clock, timeoutMs: d.recordTimeoutMs }
        const goOn = await settled(raw, () =>
          input instanceof Error ? Promise.resolve(failed(input)) : handleRecord(d.stage, d.deps, input, timing),
        )
        if (!goOn) over = true
        heart.progress()
      }
      const work = lanes.run(key, run).finally(() => {
        release()
        running.delete(work)
      })
      queued = true
      running.add(work)
      // A dependency is being tried again through this partition: one record at a time until one has succeeded.
      if (assignment.probing) await work
    }
    async function untilDue({ travelled }: RawRecord): Promise<void> {
      const dueInMs = travelled.dueMs - clock.now()
      if (dueInMs > WAIT_IN_PLACE_MS) d.scheduler.pause(assignment.at, 'retry-due', dueInMs)
      else if (dueInMs > 0) await new Promise<void>((resolve) => void clock.after(dueInMs, resolve))
    }

    async function commit(): Promise<void> {
      const error = await commitProgress(assignment, payload)
      commitAtMs = clock.now() + COMMIT_EVERY_MS
      if (error === undefined) return
      if (asksToRejoin(error)) rejoin = error
      else d.scheduler.pause(assignment.at, 'dependency', BREATHER_MS)
      d.logger.warn({ ...assignment.at, error: errorMessage(error) }, 'offset commit failed')
    }

    /** An error that left eachBatch would end the consumer for good; the records in flight end first in any case. */
    function surprised(error: unknown) {
      over = true
      d.scheduler.pause(assignment.at, 'dependency', BREATHER_MS)
      d.logger.error({ ...assignment.at, error: errorMessage(error) }, 'a slice ended early')
    }

    for (const message of payload.batch.messages) {
      if (stopped() || late()) break
      await start(message).catch(surprised)
      if (clock.now() >= commitAtMs) await commit()
    }
    await Promise.all(running)
    handlers.abort()
    heart.stop()
    passTrailing(assignment, payload)
    await flush(assignment)
    await commit()
    const lost = heart.lost() ?? rejoin
    if (lost !== undefined) throw toError(lost)
    await payload.heartbeat()
  }

  async function read(
    raw: RawRecord,
    signal: AbortSignal,
  ): Promise<{ input: InputRecord<Value> | Error; key: string }> {
    try {
      const input = await readRecord(raw, d.decode, signal)
      return { input, key: d.stage.orderKey(input.value) }
    } catch (error) {
      return { input: toError(error), key: String(raw.offset) }
    }
  }
}

const toError = (error: unknown): Error =>
  error instanceof Error ? error : new StageError('unexpected', String(error), { retriable: true })
