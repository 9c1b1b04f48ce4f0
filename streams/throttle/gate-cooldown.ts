/** A time in which nothing leaves, and the slow start after it. */
import type { Clock } from '../runtime/ports.ts'

/** The first send comes at a random moment of this time after the hold, so that a fleet does not come back as one. */
const RESTART_JITTER_MS = 250

export interface Cooldown {
  /** Nothing leaves for this long; a hold that ends later wins. 0: only the slow start. */
  readonly hold: (forMs: number) => void
  /** 0: it is over. */
  readonly leftMs: () => number
}

export function createCooldown({
  clock,
  random,
  onOver,
}: {
  clock: Clock
  random: () => number
  onOver: () => void
}): Cooldown {
  let endMs = -Infinity
  /** The end and its jitter; null: there is none. Also spares the hot path a look at the clock. */
  let untilMs: number | null = null

  return {
    hold: (forMs) => {
      const newEndMs = clock.now() + forMs
      if (untilMs !== null && newEndMs <= endMs) return
      endMs = newEndMs
      untilMs = Math.max(untilMs ?? 0, endMs + random() * RESTART_JITTER_MS)
    },
    leftMs: () => {
      if (untilMs === null) return 0
      const ms = untilMs - clock.now()
      if (ms > 0) return ms
      untilMs = null
      onOver()
      return 0
    },
  }
}
