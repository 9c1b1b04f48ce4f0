/** The lease table in memory: what the SQL function does, step by step. For tests, and to be compared with the SQL. */
import { leaseTimings } from './leases-port.ts'
import type { LeaseAnswer, LeaseAsk, LeaseRequest, LeaseTimings } from './leases-port.ts'

interface Row extends LeaseAsk {
  readonly holder: string
  readonly sequence: number
  readonly held: number
  readonly covered: number
  readonly contactMs: number
  readonly expiresMs: number
}

export const RETENTION_MS = 600_000

export interface LeaseTableModel {
  readonly renew: (request: LeaseRequest) => LeaseAnswer
  /** Σ held of the live rows. */
  readonly sum: (resource: string) => number
}

export function createLeaseTableModel(now: () => number, timings: LeaseTimings = leaseTimings): LeaseTableModel {
  const { ttlMs, graceMs } = timings
  let rows: Row[] = []
  const isLive = (row: Row) => row.expiresMs > now()

  function covered(ask: LeaseAsk, holder: string): number {
    const others = rows.filter(
      (row) => row.resource === ask.resource && row.holder !== holder && row.contactMs > now() - graceMs,
    )
    const all = Math.max(ask.partitions, ...others.map((row) => row.partitions))
    const vouched = new Set([...ask.owned, ...others.flatMap((row) => row.owned)])
    return all === 0 ? 1 : Math.min(1, vouched.size / all)
  }
  function grant({ holder, sequence, seenMs }: LeaseRequest, ask: LeaseAsk) {
    const same = rows.filter((row) => row.resource === ask.resource)
    const others = same.filter((row) => row.holder !== holder && isLive(row))
    const own = same.find((row) => row.holder === holder)
    if (own && own.sequence >= sequence) return
    const part = covered(ask, holder)
    const capacity = Math.min(ask.total, ...others.map((row) => row.total)) * part
    const free = (ask.whole ? Math.floor(capacity + 1e-9) : capacity) - others.reduce((sum, { held }) => sum + held, 0)
    const held = Math.max(0, Math.min(ask.asked, Math.max(free, own && isLive(own) ? own.held : 0)))
    const expiresMs = ask.leaving && held === 0 ? now() : now() + ttlMs
    rows = rows.filter((row) => row !== own)
    rows.push({ ...ask, holder, sequence, held, covered: part, contactMs: seenMs ?? -Infinity, expiresMs })
  }
  return {
    renew: (request) => {
      const resources = new Set(request.asks.map(({ resource }) => resource))
      rows = rows.filter((row) => !resources.has(row.resource) || row.expiresMs >= now() - RETENTION_MS)
      for (const ask of request.asks) grant(request, ask)
      const live = rows.filter((row) => resources.has(row.resource) && isLive(row))
      return { nowMs: now(), rows: live.map((row) => ({ ...row, expiresInMs: row.expiresMs - now() })) }
    },
    sum: (resource) =>
      rows.filter((row) => row.resource === resource && isLive(row)).reduce((sum, { held }) => sum + held, 0),
  }
}
