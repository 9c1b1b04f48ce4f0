/**
 * Reports of running instances, for lag and consoles on any machine. Best effort by design: with connections of its own,
 * outside of the budgets and the circuit breaker, and with a timeout of its own, so that Postgres' being away costs
 * nobody but the reader a figure.
 */
import type { Knex } from 'knex'
import { DependencyUnavailable } from '../../streams/errors.ts'
import { rowsOf } from './rows.ts'
import { classifyPostgres } from './errors.ts'

/** Times are milliseconds AGO at the moment of the report: instances' clocks need not agree. */
export interface PartitionReport {
  readonly topic: string
  readonly partition: number
  /** Next offset to settle. */
  readonly next: string
  readonly inFlight: number
  /** The oldest record that was fetched and is not settled: its own timestamp. null: there is none. */
  readonly oldestRecordMs: number | null
  /** Longest that a record under way has been worked on, without what it stood at gates. */
  readonly longestWorkMs: number
  /** A record was settled, or work came to an idle partition. */
  readonly movedAgoMs: number
  /** Why it is paused. */
  readonly pauses: readonly { readonly reason: string; readonly agoMs: number }[]
  /** What its records wait for at the stage's gate, or beside it. */
  readonly waits: readonly string[]
  /** Dependencies that it waits for because they are away. */
  readonly dependencies: readonly string[]
}

export interface StageReport {
  readonly instance: string
  readonly host: string
  readonly stage: string
  readonly group: string
  /** Records settled a second over the last minute. */
  readonly perSecond: number
  /** Longest that one record may be worked on. */
  readonly recordTimeoutMs: number
  /** The gates behind the stage: who stands there, and what for. */
  readonly behind: readonly {
    readonly gate: string
    readonly dependency: string
    readonly waiting: number
    readonly inFlight: number
    readonly heldBy: string | null
  }[]
  readonly partitions: readonly PartitionReport[]
}

export interface ReceivedReport extends StageReport {
  /** By the database's clock. */
  readonly ageMs: number
}

export interface StageReports {
  /** Replaces what the instance said of these stages, and sweeps what nobody has renewed for long. */
  readonly write: (reports: readonly StageReport[]) => Promise<void>
  /** Newest first. */
  readonly read: () => Promise<ReceivedReport[]>
  /** The instance ends cleanly: it owns nothing any more. */
  readonly remove: (instance: string) => Promise<void>
}

/** A killed instance's last word is of use to whoever looks for what it was doing, for a while. */
const KEEP = '10 minutes'

/** All of them @throws DependencyUnavailable within `timeoutMs`. */
export function createStageReports({ db, timeoutMs = 2_000 }: { db: Knex; timeoutMs?: number }): StageReports {
  async function within<T>(work: () => Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>()
    // knex' own timeout begins only once there is a connection; while Postgres is away there is none.
    const timer = setTimeout(
      () => late.reject(new DependencyUnavailable('postgres', `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
    try {
      return await Promise.race([work(), late.promise])
    } catch (error) {
      throw classifyPostgres(error)
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    write: (reports) =>
      within(async () => {
        await db
          .raw(
            `with swept as (delete from stage_reports where updated_at < clock_timestamp() - interval '${KEEP}')
             insert into stage_reports (instance, stage, report, updated_at)
             select r->>'instance', r->>'stage', r, clock_timestamp() from jsonb_array_elements(?::jsonb) as r
             on conflict (instance, stage) do update set report = excluded.report, updated_at = excluded.updated_at`,
            [JSON.stringify(reports)],
          )
          .timeout(timeoutMs)
      }),
    read: () =>
      within(async () => {
        const rows = await rowsOf<{ report: StageReport; age_ms: number }>(
          db,
          `select report, greatest(0, extract(epoch from clock_timestamp() - updated_at) * 1000)::double precision as age_ms
           from stage_reports order by updated_at desc`,
        )
        return rows.map(({ report, age_ms }) => ({ ...report, ageMs: age_ms }))
      }),
    remove: (instance) =>
      within(async () => {
        await db.raw('delete from stage_reports where instance = ?', [instance]).timeout(timeoutMs)
      }),
  }
}
