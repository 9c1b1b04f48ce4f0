/** Tenants with work at a gate, waiting or in flight: a budget's parts follow their number. */
import type { Ask } from './ports.ts'

/** What a tenant that is only replayed counts, against 1 for one with live work. */
const REPLAY_WEIGHT = 1 / 20

export interface Presence {
  readonly enter: (ask: Ask) => void
  readonly leave: (ask: Ask) => void
  readonly weight: () => number
}

export function createPresence(): Presence {
  const counts = { live: new Map<string, number>(), replay: new Map<string, number>() }

  return {
    enter: ({ tenantId, lane }) => void counts[lane].set(tenantId, (counts[lane].get(tenantId) ?? 0) + 1),
    leave: ({ tenantId, lane }) => {
      const left = (counts[lane].get(tenantId) ?? 0) - 1
      if (left > 0) counts[lane].set(tenantId, left)
      else counts[lane].delete(tenantId)
    },
    weight: () => {
      let weight = counts.live.size
      for (const tenantId of counts.replay.keys()) if (!counts.live.has(tenantId)) weight += REPLAY_WEIGHT
      return weight
    },
  }
}
