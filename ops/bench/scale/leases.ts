/** What the budgets' leases cost Postgres: milliseconds of one renewal, by the number of processes that hold leases. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Knex } from 'knex'
import { createBudgetLeases } from '../../../connectors/postgres/budget-leases.ts'
import { leaseTimings } from '../../../streams/throttle/leases-port.ts'
import type { LeaseTable } from '../../../streams/throttle/leases-port.ts'

export interface LeaseCost {
  readonly holders: number
  /** One renewal, nobody else asking. */
  readonly aloneMs: number
  /** Renewals a second that Postgres does when everybody asks at once. */
  readonly perSecond: number
  /** Of `holders` that each renew once a second: the median and the slowest of a hundred of their waits. */
  readonly p50Ms: number
  readonly p99Ms: number
  /** Renewals that came later than `timeoutMs`, and so were none. */
  readonly late: number
}

/** Everything that a process with all limits set asks for. */
const RESOURCES = [
  ...['embedding_requests', 'embedding_tokens', 'embedding_slots', 'database_slots'],
  ...['crawler_records', 'processor_records', 'chunker_records'],
]

export async function leaseCost(db: Knex, holders: number, seconds: number): Promise<LeaseCost> {
  await db.raw('truncate budget_leases')
  // The rows are to stay for as long as it is measured; how long one lasts does not change what a renewal costs.
  const table = createBudgetLeases({ db, timings: { ...leaseTimings, ttlMs: 600_000, timeoutMs: 60_000 } })
  let sequence = 0
  const renew = (holder: number) => renewal(table, `process-${holder}`, (sequence += 1), holders)
  for (let holder = 0; holder < holders; holder += 1) await renew(holder)
  await db.raw('vacuum analyze budget_leases')

  const alone: number[] = []
  for (let n = 0; n < 50; n += 1) alone.push(await renew(n % holders))

  const began = performance.now()
  await Promise.all(
    Array.from({ length: 8 }, async (_, worker) => {
      for (let n = 0; n < 25; n += 1) await renew((worker * 25 + n) % holders)
    }),
  )
  const perSecond = 200 / ((performance.now() - began) / 1_000)

  const paced = await Promise.all(Array.from({ length: holders }, (_, holder) => once(renew, holder, holders, seconds)))
  const waits = paced.flat().sort((a, b) => a - b)
  return {
    holders,
    aloneMs: at(
      alone.sort((a, b) => a - b),
      0.5,
    ),
    perSecond,
    p50Ms: at(waits, 0.5),
    p99Ms: at(waits, 0.99),
    late: waits.filter((ms) => ms > leaseTimings.timeoutMs).length,
  }
}

/** Renews once a second, its turn spread over the second. A late answer delays the next renewal, as in a process. */
async function once(renew: (holder: number) => Promise<number>, holder: number, holders: number, seconds: number) {
  const waits: number[] = []
  await sleep((holder / holders) * leaseTimings.renewMs)
  const until = performance.now() + seconds * 1_000
  while (performance.now() < until) {
    const ms = await renew(holder)
    waits.push(ms)
    await sleep(Math.max(0, leaseTimings.renewMs - ms))
  }
  return waits
}

async function renewal(table: LeaseTable, holder: string, sequence: number, holders: number): Promise<number> {
  const owned = [`pages.processed/${sequence % 1000}`]
  const asks = RESOURCES.map((resource) => ({
    ...{ resource, asked: 1, whole: false, want: 2, weight: 1, total: holders, owned, partitions: 0, leaving: false },
  }))
  const began = performance.now()
  await table.renew({ holder, sequence, seenMs: null, asks })
  return performance.now() - began
}

const at = (sorted: readonly number[], share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
