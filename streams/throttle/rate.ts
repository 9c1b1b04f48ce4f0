/**
 * GCRA with a burst of one: what costs c holds the line for c / rate seconds, and whatever its size it leaves as soon as
 * the line is free. Idle time gives no credit, so a rest is never followed by a burst.
 *
 * The line is kept in units of cost still to be drained, not as a time of arrival: when a lease grows or shrinks in the
 * middle of a wait, the rest of that wait scales with it.
 */
import type { Clock } from '../runtime/ports.ts'

/**
 * Lateness of our own timers that is made good, else every late wake-up would cost throughput for good. At most 1% more
 * than the rate in any window of 10 s.
 */
export const CATCH_UP_MS = 100
/** What is left of a line by rounding: less than a nanosecond. */
const ROUNDING_MS = 1e-6

export interface Rate {
  readonly perSecond: () => number
  /** 0: the line is free; Infinity: the rate is 0. Call it too when the rate has changed: it counts from there. */
  readonly waitMs: (nowMs: number) => number
  /** Takes the line, free or not. */
  readonly take: (cost: number) => void
  /** What was taken has never been sent. */
  readonly giveBack: (cost: number) => void
  /**
   * Somebody waits and means to leave at this time: from then on lateness is credit. null: nobody does, and what credit
   * there was is gone.
   */
  readonly expect: (dueMs: number | null) => void
  /** Nothing is left of it to remember. */
  readonly isFree: () => boolean
}

export function createRate({ clock, perSecond }: { clock: Clock; perSecond: () => number }): Rate {
  /** Cost to be drained before the next one leaves; below 0: credit for lateness. */
  let owed = 0
  let seenPerMs = perSecond() / 1000
  let atMs = clock.now()
  let dueMs: number | null = null

  function drain(nowMs: number) {
    const elapsedMs = Math.max(0, nowMs - atMs) // the system's clock may be set back
    atMs = nowMs
    const current = perSecond() / 1000
    owed = seenPerMs === Infinity ? 0 : owed - elapsedMs * seenPerMs
    if (owed < 0) owed = Math.max(owed, -creditMs(nowMs) * Math.min(seenPerMs, current))
    if (current === Infinity) owed = 0
    seenPerMs = current
  }
  const creditMs = (nowMs: number) => (dueMs === null ? 0 : Math.min(Math.max(0, nowMs - dueMs), CATCH_UP_MS))

  return {
    perSecond,
    waitMs: (nowMs) => {
      drain(nowMs)
      if (seenPerMs === 0) return Infinity
      const ms = owed / seenPerMs
      return ms > ROUNDING_MS ? ms : 0
    },
    take: (cost) => {
      drain(clock.now())
      owed += cost
    },
    giveBack: (cost) => {
      drain(clock.now())
      owed -= cost // frees the line; like rest, it makes no credit
    },
    expect: (due) => {
      dueMs = due
    },
    isFree: () => {
      drain(clock.now())
      return owed <= 0
    },
  }
}
