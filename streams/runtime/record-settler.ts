/** Settles one record and tells the partition's fate from it: go on, wait for a dependency, or stop as another's. */
import { DependencyUnavailable, Fenced, errorMessage } from '../errors.ts'
import type { Outcome } from '../outcome.ts'
import type { Assignment, Assignments } from './assignments.ts'
import type { StageWatch } from './dependency-watch.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import type { Clock, Logger, Observer } from './ports.ts'
import { failed } from './record.ts'
import type { RawRecord, Settle } from './settle.ts'
import type { Writer } from './writer.ts'

interface Dependencies {
  readonly name: string
  readonly assignments: Assignments
  readonly scheduler: PauseScheduler
  readonly watch: StageWatch
  readonly settle: Settle
  readonly writer: Writer | null
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: Observer
}

/** A record that can be neither settled nor dead-lettered is tried again no faster than this. */
const UNSETTLED_PAUSE_MS = 5_000
/** After a failed flush the same records are fetched again: not in a tight loop. */
const BREATHER_MS = 1_000

export function createRecordSettler(d: Dependencies) {
  return { settled, flush }

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
    const error = 'error' in outcome ? outcome.error : undefined
    // A record that failed by itself proves nothing: it may never have reached the dependency that is being tried.
    if (!error) d.watch.succeeded(assignment)
    const { tenantId } = raw
    d.observer.settled?.(d.name, what, { ...(error && { code: error.code }), tenantId, ms: d.clock.now() - startedMs })
    if (error)
      d.logger.warn(
        { tenant: tenantId, ...assignment.at, offset, what, code: error.code, error: error.message },
        'record failed',
      )
  }
  function interrupted(assignment: Assignment, error: unknown): boolean {
    if (error instanceof DependencyUnavailable) d.watch.unavailable(assignment, error)
    else if (error instanceof Fenced) d.assignments.reclaim(assignment)
    else return false
    return true
  }
  function unsettled({ assignment, tenantId, offset }: RawRecord, error: unknown) {
    d.scheduler.pause(assignment.at, 'dependency', UNSETTLED_PAUSE_MS)
    d.logger.error(
      { tenant: tenantId, ...assignment.at, offset, error: errorMessage(error) },
      'a record can be neither settled nor dead-lettered',
    )
  }
  /** @returns whether the ledger is up to the watermark now. */
  async function flush(assignment: Assignment): Promise<boolean> {
    try {
      const before = assignment.ledger
      await d.writer?.flush(assignment)
      if (assignment.ledger !== before) d.watch.succeeded(assignment)
      return true
    } catch (error) {
      if (!interrupted(assignment, error)) {
        d.scheduler.pause(assignment.at, 'dependency', BREATHER_MS)
        d.logger.error({ ...assignment.at, error: errorMessage(error) }, 'could not flush the ledger')
      }
      return false
    }
  }
}
