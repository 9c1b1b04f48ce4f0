/** The lease table in Postgres: one call of the function that 007_budget_leases brings. */
import type { Knex } from 'knex'
import { leaseTimings } from '../../streams/throttle/leases-port.ts'
import type { LeaseRow, LeaseTable, LeaseTimings } from '../../streams/throttle/leases-port.ts'
import { classifyPostgres } from './errors.ts'

interface Row {
  resource: string
  holder: string
  held: number
  want: number
  weight: number
  total: number
  covered: number
  /** bigint: a string. */
  sequence: string
  expires_in_ms: number
  now_ms: number
}

interface Dependencies {
  /** With connections of its own, two are enough: behind a pool full of long writes the leases would end. */
  readonly db: Knex
  readonly timings?: LeaseTimings
  /** For tests; the time is the database's. */
  readonly now?: () => Date
}

export function createBudgetLeases({ db, timings = leaseTimings, now }: Dependencies): LeaseTable {
  const interval = (ms: number) => `${ms} milliseconds`
  return {
    renew: async ({ holder, sequence, seenMs, asks }) => {
      try {
        // Autocommit: `set local` would need a transaction of four round trips, whose lock a stopped client keeps. knex'
        // timeout closes the connection, on which a late answer would meet the next statement.
        const { rows } = await db
          .raw<{ rows: Row[] }>(
            `select * from sluice_renew_budget_leases(?, ?, ?, ?::jsonb, ?::interval, ?::interval, ?::timestamptz)`,
            [
              ...[holder, sequence, seenMs, JSON.stringify(asks)],
              ...[interval(timings.ttlMs), interval(timings.graceMs), now?.() ?? null],
            ] as Knex.RawBinding[],
          )
          .timeout(timings.timeoutMs)
        return { nowMs: rows[0]?.now_ms ?? 0, rows: rows.map(toLeaseRow) }
      } catch (error) {
        throw classifyPostgres(error)
      }
    },
  }
}

const toLeaseRow = ({ sequence, expires_in_ms, now_ms: _, ...row }: Row): LeaseRow => ({
  ...row,
  sequence: Number(sequence),
  expiresInMs: expires_in_ms,
})
