/**
 * Heartbeats of one slice, for as long as its work is healthy: at least one record was started or settled within the
 * records' own deadline. A blind timer would keep a hung handler in the group for ever.
 */
import type { Clock } from './ports.ts'

export interface Heart {
  /** Something moved. */
  readonly progress: () => void
  /** The error of a heartbeat that failed: the group rebalances, or we are no member any more. */
  readonly lost: () => unknown
  readonly stop: () => void
}

interface Dependencies {
  readonly heartbeat: () => Promise<void>
  readonly clock: Clock
  readonly everyMs: number
  readonly patienceMs: number
}

export function startHeart({ heartbeat, clock, everyMs, patienceMs }: Dependencies): Heart {
  let lastProgressMs = clock.now()
  let lost: unknown
  let stopped = false
  let cancel = clock.after(everyMs, beat)

  function beat() {
    if (stopped || lost !== undefined || clock.now() - lastProgressMs > patienceMs) return
    heartbeat()
      .catch((error: unknown) => (lost = error))
      .finally(() => {
        if (!stopped) cancel = clock.after(everyMs, beat)
      })
  }
  return {
    progress: () => (lastProgressMs = clock.now()),
    lost: () => lost,
    stop: () => {
      stopped = true
      cancel()
    },
  }
}
