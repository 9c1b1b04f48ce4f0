/**
 * Which partitions this process may speak for. A partition belongs to one process at a time, so partitions are what says
 * whose floor is whose without asking anybody: those owned through the whole of the last `silentMs` make up the floor,
 * those owned at any time of the last `lingerMs` are vouched for in the table.
 *
 * Sets, not a number: two processes that swap partitions keep their numbers, and a partition moved from a dead process to
 * a live one would count twice until the dead one's row is forgotten.
 */
import { silentMs } from './leases-port.ts'
import type { LeaseTimings } from './leases-port.ts'

export interface Ownership {
  /** Keys of the partitions that this process owns now. */
  readonly owned: readonly string[]
  /**
   * All partitions that floors of this budget are counted in: the same number in every process, each partition owned by
   * somebody when the group is at rest (what nobody vouches for is not leased). 0: unknown yet, or no floors.
   */
  readonly of: number
}

export interface OwnershipLog {
  /** At least once a second, and at every assignment and revocation. */
  readonly sample: (nowMs: number) => void
  readonly vouched: (nowMs: number) => string[]
  readonly partitions: () => number
  /** Nothing was sampled for a while, and not because the process stood still. */
  readonly reset: () => void
  /** Part of the total that is this process' own when it cannot renew, 0 to 1. */
  readonly floorShare: (nowMs: number) => number
}

export function createOwnershipLog(read: () => Ownership, timings: LeaseTimings): OwnershipLog {
  const ownedSince = new Map<string, number>()
  const lastOwned = new Map<string, number>()
  let lastSampleMs = -Infinity
  let distrustUntilMs = -Infinity

  const stopped = (nowMs: number) => lastSampleMs !== -Infinity && nowMs - lastSampleMs > timings.maxGapMs
  return {
    sample: (nowMs) => {
      // Stopped for long: what it believes to own may be another's by now, and it will only hear of it in a while.
      if (stopped(nowMs)) distrustUntilMs = nowMs + timings.graceMs
      const owned = new Set(nowMs < distrustUntilMs ? [] : read().owned)
      for (const key of [...ownedSince.keys()]) if (!owned.has(key)) ownedSince.delete(key)
      for (const key of owned) {
        if (!ownedSince.has(key)) ownedSince.set(key, nowMs)
        lastOwned.set(key, nowMs)
      }
      for (const [key, atMs] of lastOwned) if (nowMs - atMs > timings.lingerMs) lastOwned.delete(key)
      lastSampleMs = nowMs
    },
    reset: () => {
      ownedSince.clear()
      lastOwned.clear()
      lastSampleMs = -Infinity
      distrustUntilMs = -Infinity
    },
    vouched: (nowMs) => [...lastOwned].filter(([, atMs]) => nowMs - atMs <= timings.lingerMs).map(([key]) => key),
    partitions: () => read().of,
    floorShare: (nowMs) => {
      const { owned, of } = read()
      if (of <= 0 || stopped(nowMs)) return 0
      const settledMs = nowMs - silentMs(timings)
      return owned.filter((key) => (ownedSince.get(key) ?? Infinity) <= settledMs).length / of
    },
  }
}
