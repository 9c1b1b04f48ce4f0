/** Which tenants this instance works for, from what the stages report: memory bounded, whatever the number of tenants. */
import { createRateMeter } from '../rate-meter.ts'
import type { RateMeter } from '../rate-meter.ts'
import type { Clock } from '../../streams/runtime/ports.ts'

/** Who was silent longest goes first. */
const MAX_TENANTS = 500

export interface TenantFigures {
  readonly tenant: string
  readonly perSecond: Readonly<Record<string, number>>
  readonly failures: number
  readonly lastSeenMs: number
}

export interface TenantMeter {
  /** An observer's `settled`. */
  readonly settled: (stage: string, outcome: string, detail: { readonly tenantId?: string }) => void
  /** Latest first. */
  readonly figures: () => TenantFigures[]
}

interface Entry {
  readonly meters: Map<string, RateMeter>
  failures: number
  lastSeenMs: number
}

export function createTenantMeter(clock: Pick<Clock, 'now'>, most = MAX_TENANTS): TenantMeter {
  // In the order of their last record: a Map keeps the order of insertion.
  const entries = new Map<string, Entry>()
  return {
    settled: (stage, outcome, { tenantId }) => {
      if (tenantId === undefined) return
      const entry = entries.get(tenantId) ?? { meters: new Map<string, RateMeter>(), failures: 0, lastSeenMs: 0 }
      entries.delete(tenantId)
      entries.set(tenantId, entry)
      if (entries.size > most) entries.delete(entries.keys().next().value!)
      entry.lastSeenMs = clock.now()
      if (outcome === 'retry' || outcome === 'dead-letter') entry.failures += 1
      const meter = entry.meters.get(stage) ?? createRateMeter(clock)
      entry.meters.set(stage, meter)
      meter.add(1)
    },
    figures: () =>
      [...entries]
        .map(([tenant, { meters, failures, lastSeenMs }]) => ({
          ...{ tenant, failures, lastSeenMs },
          perSecond: Object.fromEntries([...meters].map(([stage, meter]) => [stage, meter.perSecond()])),
        }))
        .reverse(),
  }
}
