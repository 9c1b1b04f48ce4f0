/** The rates that a gate holds to: one line per budget of kind 'rate', and what it tells that budget of its demand. */
import type { Clock } from '../runtime/ports.ts'
import type { Ask, Budget } from './ports.ts'
import { createRate } from './rate.ts'
import type { Rate } from './rate.ts'

/** Recent use is an average that forgets at this pace. */
const USE_MS = 2000
/** Asked for beyond recent use, so that a growing flow is not held up by its own lease. */
const HEADROOM = 1.25

export interface GateRates {
  /** Until all the lines that it takes are free; Infinity: one of them stands still. */
  readonly waitMs: (ask: Ask, nowMs: number) => number
  readonly take: (ask: Ask) => void
  readonly giveBack: (ask: Ask) => void
  /** This one is the next to leave and only rates hold it up, until then; null: nobody is. */
  readonly expect: (ask: Ask | null, dueMs: number) => void
  /** Held up by a rate: its budget learns of it. */
  readonly heldUp: (ask: Ask, nowMs: number) => void
  /** Joins (1) or leaves (-1) those who wait, for `queuedMs`. */
  readonly queued: (ask: Ask, by: 1 | -1) => void
  /** How long the lines take for this share of all that waits. */
  readonly queuedMs: (ask: Ask, share: number) => number
}

interface Line {
  readonly budget: Budget
  readonly rate: Rate
  /** Cost per second, lately. */
  use: number
  useAtMs: number
  queued: number
  /** Somebody was held up since the budget last asked, or is now. */
  wanted: boolean
  expected: boolean
}

export function createGateRates({
  clock,
  budgets,
  weight,
}: {
  clock: Clock
  budgets: readonly Budget[]
  weight: () => number
}): GateRates | undefined {
  const lines = budgets.filter(({ kind }) => kind === 'rate').map(line)
  if (lines.length === 0) return undefined

  function line(budget: Budget): Line {
    const rate = createRate({ clock, perSecond: budget.allowed })
    const self: Line = { budget, rate, use: 0, useAtMs: clock.now(), queued: 0, wanted: false, expected: false }
    const want = () => {
      const waits = self.wanted || self.expected
      self.wanted = false
      return waits ? Infinity : recentUse(self) * HEADROOM
    }
    budget.attach({ want, inUse: () => 0, weight })
    return self
  }
  function recentUse(self: Line): number {
    const nowMs = clock.now()
    self.use *= Math.exp(-Math.max(0, nowMs - self.useAtMs) / USE_MS)
    self.useAtMs = nowMs
    return self.use
  }
  const takes = (ask: Ask, { budget }: Line) => ask.takes?.[budget.name] ?? 0

  return {
    waitMs: (ask, nowMs) => {
      let longest = 0
      for (const self of lines) if (takes(ask, self) > 0) longest = Math.max(longest, self.rate.waitMs(nowMs))
      return longest
    },
    take: (ask) => {
      for (const self of lines) {
        const cost = takes(ask, self)
        if (cost <= 0) continue
        self.rate.take(cost)
        self.use = recentUse(self) + cost / (USE_MS / 1000)
      }
    },
    giveBack: (ask) => {
      for (const self of lines) if (takes(ask, self) > 0) self.rate.giveBack(takes(ask, self))
    },
    expect: (ask, dueMs) => {
      // All that it takes, not only the slowest: two lines of one pace would lose to lateness in turns.
      for (const self of lines) {
        self.expected = ask !== null && takes(ask, self) > 0
        self.rate.expect(self.expected ? dueMs : null)
      }
    },
    heldUp: (ask, nowMs) => {
      for (const self of lines) {
        if (takes(ask, self) <= 0 || self.rate.waitMs(nowMs) === 0) continue
        self.wanted = true
        tellHungry(self.budget)
      }
    },
    queued: (ask, by) => {
      for (const self of lines) self.queued += by * takes(ask, self)
    },
    queuedMs: (ask, share) => {
      let longest = 0
      for (const self of lines)
        if (takes(ask, self) > 0 && self.queued > 0 && share > 0)
          longest = Math.max(longest, (self.queued * share * 1000) / self.budget.allowed())
      return longest
    },
  }
}

/** More is only there to be asked for when others hold a part of it. */
export function tellHungry(budget: Budget) {
  const total = budget.total()
  if (total !== null && budget.allowed() < total) budget.hungry()
}
