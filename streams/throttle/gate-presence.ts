/**
 * Tenants with live work at a gate, waiting or in flight: a budget's parts follow their number. Those that are replayed
 * count nothing, however many: a process that only replays gets what the others leave, and the least part there is.
 */
import type { Ask } from './ports.ts'

export interface Presence {
  readonly enter: (ask: Ask) => void
  readonly leave: (ask: Ask) => void
  readonly weight: () => number
}

export function createPresence(): Presence {
  const live = new Map<string, number>()

  return {
    enter: ({ tenantId, lane }) => {
      if (lane === 'live') live.set(tenantId, (live.get(tenantId) ?? 0) + 1)
    },
    leave: ({ tenantId, lane }) => {
      if (lane !== 'live') return
      const left = (live.get(tenantId) ?? 0) - 1
      if (left > 0) live.set(tenantId, left)
      else live.delete(tenantId)
    },
    weight: () => live.size,
  }
}
