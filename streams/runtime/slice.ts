/**
 * One time slice over one fetched batch: decode, run pages beside each other (each page in order), settle, and commit
 * what lies below the watermark. What is left of the batch is fetched again.
 *
 * Why slices: kafkajs fetches again only when the handlers of ALL batches of a fetch have returned, so a handler that
 * works for long holds up every other partition. Why inside the handler: a rebalance waits for it, and so drains itself.
 */
import type { EachBatchPayload, KafkaMessage } from 'kafkajs'
import { DependencyUnavailable, Fenced, StageError, errorMessage } from '../errors.ts'
import type { Outcome, Stage } from '../outcome.ts'
import type { Assignment, Assignments } from './assignments.ts'
import { commitProgress } from './commit.ts'
import type { DependencyWatch } from './dependency-watch.ts'
import { startHeart } from './heart.ts'
import type { InFlightLimit } from './in-flight.ts'
import { createKeyedLanes } from './keyed-lanes.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Clock, Logger, Observer } from './ports.ts'
import { failed, handleRecord, readRecord, toRawRecord } from './record.ts'
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
  readonly lowWatermark: (assignment: Assignment) => Promise<bigint>
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
/** A record that can be neither settled nor dead-lettered is tried again no faster than this. */
const UNSETTLED_PAUSE_MS = 5_000

/** @returns the handler of one batch; it throws nothing but what asks kafkajs to rejoin. */
export function createSlice<Value extends { tenant_id: string }, Deps>(d: SliceDependencies<Value, Deps>) {
  return async (payload: EachBatchPayload): Promise<void> => {
    const assignment = d.assignments.get(payload.batch)
    // An outside pause does not stop batches that were fetched already, so the gate stands here too.
    if (!assignment?.ready || d.scheduler.isPaused(assignment.at) || d.draining()) return
    if (await isContiguous(assignment, payload)) await runSlice(assignment, payload)
  }

  /** A jump over unread offsets is a loss, unless the log still holds them: then they are control records. */
  async function isContiguous(assignment: Assignment, { batch }: EachBatchPayload): Promise<boolean> {
    const expected = assignment.watermark.next()
    if (BigInt(batch.firstOffset() ?? -1) <= expected) return true
    try {
      const low = await d.lowWatermark(assignment)
      if (low <= expected) return true
      d.assignments.halt(assignment, 'expired_unread', { expected, low })
    } catch (error) {
      d.logger.warn(
        { ...assignment.at, error: errorMessage(error) },
        'could not check a gap in the offsets, trying again',
      )
    }
    return false
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
    let blocked = false
    const stopped = () =>
      blocked || heart.lost() !== undefined || !assignment.alive || d.draining() || d.scheduler.isPaused(assignment.at)

    async function start(message: KafkaMessage): Promise<void> {
      const raw = toRawRecord(assignment, message)
      await untilDue(raw)
      const release = await d.limit.acquire()
      heart.progress()
      if (stopped() || !assignment.watermark.begin(raw.offset)) return release()
      const input = await readRecord(raw, d.decode, handlers.signal).catch(toError)
      const key = input instanceof Error ? message.offset : d.stage.orderKey(input.value)
      const run = async () => {
        if (stopped()) return
        const timing = { clock, timeoutMs: d.recordTimeoutMs }
        const goOn = await settled(raw, () =>
          input instanceof Error ? Promise.resolve(failed(input)) : handleRecord(d.stage, d.deps, input, timing),
        )
        if (!goOn) blocked = true
        heart.progress()
      }
      const work = lanes.run(key, run).finally(() => {
        release()
        running.delete(work)
      })
      running.add(work)
      // A dependency is being tried again through this partition: one record at a time until one has succeeded.
      if (assignment.probing) await work
    }
    async function untilDue({ travelled }: RawRecord): Promise<void> {
      const dueInMs = travelled.dueMs - clock.now()
      if (dueInMs > WAIT_IN_PLACE_MS) d.scheduler.pause(assignment.at, 'retry-due', dueInMs)
      else if (dueInMs > 0) await new Promise<void>((resolve) => void clock.after(dueInMs, resolve))
    }

    for (const message of payload.batch.messages) {
      if (stopped() || clock.now() >= endsAtMs) break
      await start(message)
      if (clock.now() < commitAtMs) continue
      await commitProgress(assignment, payload, d.logger)
      commitAtMs = clock.now() + COMMIT_EVERY_MS
    }
    await Promise.all(running)
    handlers.abort()
    heart.stop()
    await flush(assignment)
    await commitProgress(assignment, payload, d.logger)
    const lost = heart.lost()
    if (lost !== undefined) throw toError(lost)
    await payload.heartbeat()
  }

  /** @returns whether the partition may go on; false: a dependency is away, or the partition is another's now. */
  async function settled(raw: RawRecord, work: () => Promise<Outcome>): Promise<boolean> {
    const startedMs = d.clock.now()
    try {
      await act(raw, await work(), startedMs)
      return true
    } catch (error) {
      if (interrupted(raw.assignment, error)) return false
      // Settling failed for the record's own sake: a write that Postgres refuses, a record too large to emit.
      try {
        await act(raw, failed(error), startedMs)
        return true
      } catch (again) {
        if (!interrupted(raw.assignment, again)) unsettled(raw, again)
        return false
      }
    }
  }
  async function act(raw: RawRecord, outcome: Outcome, startedMs: number): Promise<void> {
    const { assignment, offset } = raw
    if (!assignment.alive) throw new Fenced('the partition was lost while its record was worked on')
    const what = await d.settle(outcome, raw)
    assignment.watermark.finish(offset)
    d.watch.succeeded(assignment)
    const error = 'error' in outcome ? outcome.error : undefined
    d.observer.settled?.(d.name, what, { ...(error && { code: error.code }), ms: d.clock.now() - startedMs })
    if (error)
      d.logger.warn({ ...assignment.at, offset, what, code: error.code, error: error.message }, 'record failed')
  }
  function interrupted(assignment: Assignment, error: unknown): boolean {
    if (error instanceof DependencyUnavailable) d.watch.unavailable(assignment, error)
    else if (error instanceof Fenced) d.assignments.reclaim(assignment)
    else return false
    return true
  }
  function unsettled({ assignment, offset }: RawRecord, error: unknown) {
    d.scheduler.pause(assignment.at, 'dependency', UNSETTLED_PAUSE_MS)
    d.logger.error(
      { ...assignment.at, offset, error: errorMessage(error) },
      'a record can be neither settled nor dead-lettered',
    )
  }
  async function flush(assignment: Assignment): Promise<void> {
    try {
      await d.writer?.flush(assignment)
    } catch (error) {
      if (!interrupted(assignment, error))
        d.logger.error({ ...assignment.at, error: errorMessage(error) }, 'could not flush the ledger')
    }
  }
}

const toError = (error: unknown): Error =>
  error instanceof Error ? error : new StageError('unexpected', String(error), { retriable: true })
