/** Places in flight at one gate: the least of its budgets' parts, the adaptive limit and the local bound. */
import { tellHungry } from './gate-rates.ts'
import type { AdaptiveLimit, Budget, Feedback, WaitReason } from './ports.ts'

/** How long a place is taken, as long as no answer has told: only estimates are made of it. */
const FIRST_TURN_MS = 100
/** Weight of the newest answer in that average. */
const TURN_SMOOTHING = 1 / 16

export interface Slots {
  /** What keeps one more from leaving; null: nothing. */
  readonly full: () => WaitReason | null
  readonly take: () => Taken
  readonly free: (feedback: Feedback | undefined, taken: Taken) => void
  readonly inFlight: () => number
  /** null: nothing limits it. */
  readonly limit: () => number | null
  /** Half-open circuit: one place only, beside what left before and has not come back: that may hang for long. */
  readonly probing: (one: boolean) => void
  /** Somebody was held up for want of a place: the budget whose part is the least learns of it. */
  readonly heldUp: () => void
  /** About how long the n-th of those who wait for a place has to. */
  readonly turnMs: (nth: number) => number
}

export interface Taken {
  /** How many were in flight then, this one included. */
  readonly inFlight: number
  /** It left before the probe that is under way now when this differs from the present one. */
  readonly turn: number
}

export function createSlots({
  budgets,
  localSlots = Infinity,
  adaptive,
  waiting,
  weight,
}: {
  budgets: readonly Budget[]
  localSlots: number | undefined
  adaptive: AdaptiveLimit | undefined
  waiting: () => number
  weight: () => number
}): Slots {
  const shared = budgets.filter(({ kind }) => kind === 'slots')
  let inFlight = 0
  let probe = false
  /** Counts probes; and of what is in flight, what left before the last one. */
  let turn = 0
  let stale = 0
  /** Somebody was sent away since a budget last asked. */
  let wanted = false
  let turnMs = FIRST_TURN_MS

  for (const budget of shared) budget.attach({ want, inUse: () => inFlight, weight })

  function part(): number {
    let least = Infinity
    for (const budget of shared) least = Math.min(least, budget.allowed())
    return least
  }
  function limit(): number {
    const least = Math.min(part(), localSlots, adaptive ? adaptive.limit() : Infinity)
    return probe ? Math.min(least, stale + 1) : least
  }
  /** No more than could be used: places behind an adaptive limit would be missing elsewhere. It may double meanwhile. */
  function want(): number {
    const queued = Math.max(waiting(), wanted ? 1 : 0)
    wanted = false
    const usable = Math.min(localSlots, adaptive ? 2 * adaptive.limit() : Infinity)
    return Math.max(inFlight, Math.min(inFlight + queued, usable))
  }
  return {
    full: () => {
      const most = limit()
      if (inFlight + 1 <= most) return null
      if (probe && most === stale + 1) return 'cooldown'
      return adaptive && adaptive.limit() < Math.min(part(), localSlots) ? 'adaptive' : 'slots'
    },
    take: () => ({ inFlight: (inFlight += 1), turn }),
    free: (feedback, taken) => {
      inFlight -= 1
      if (taken.turn !== turn) stale -= 1
      if (!feedback) return
      if (feedback.kind !== 'unsent') turnMs += (feedback.latencyMs - turnMs) * TURN_SMOOTHING
      adaptive?.sample(feedback, taken.inFlight)
    },
    inFlight: () => inFlight,
    limit: () => {
      const most = limit()
      return most === Infinity ? null : most
    },
    probing: (one) => {
      if (one && !probe) {
        turn += 1
        stale = inFlight
      }
      probe = one
    },
    heldUp: () => {
      wanted = true
      const least = part()
      for (const budget of shared) if (budget.allowed() === least) tellHungry(budget)
    },
    turnMs: (nth) => (nth * turnMs) / Math.max(1, limit()),
  }
}
