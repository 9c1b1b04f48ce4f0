/**
 * One budget as this process holds it: what it may use now, what it asks for next. Nothing here waits or sends.
 *
 * Σ usable ≤ total rests on three things. The table gives out only what no live row holds. A process stops using before
 * it asks for less, and uses more only after the answer. Its lease ends by its own clock, counted from before it asked.
 */
import type { OwnershipLog } from './leases-ownership.ts'
import { silentMs } from './leases-port.ts'
import type { LeaseAnswer, LeaseAsk, LeaseRow, LeaseTimings } from './leases-port.ts'
import type { Wish } from './leases-turns.ts'
import type { Budget, Demand } from './ports.ts'
import { fairShares, wholeShares } from './share.ts'

const EPSILON = 1e-9
/** JSON has no Infinity. */
const MOST_WEIGHT = 1e9
const idle: Demand = { want: () => 0, inUse: () => 0, weight: () => 0 }

/** What the last answer said. */
interface Known {
  readonly others: readonly (LeaseRow & { readonly expiresAtMs: number })[]
  /** All that is held, by everybody, at the moment of the answer. */
  readonly sum: number
  readonly leastTotal: number
  readonly covered: number
  readonly round: number
  readonly expiresAtMs: number
  readonly answeredMs: number
}

export interface Holding {
  readonly name: string
  readonly kind: Budget['kind']
  demand: Demand
  total: number | null
  readonly allowed: (nowMs: number) => number
  readonly ask: (nowMs: number, leaving?: boolean) => LeaseAsk
  readonly answered: (answer: LeaseAnswer, sentMs: number, nowMs: number) => void
  /** More work waits than the table knows of. */
  readonly isUnheard: () => boolean
  /** When to renew before its turn. */
  readonly early: (nowMs: number) => Wish
  readonly held: () => number
  readonly expiresAtMs: () => number
}

interface Dependencies {
  readonly name: string
  readonly kind: Budget['kind']
  readonly holder: string
  readonly ownership: OwnershipLog
  readonly timings: LeaseTimings
  /** When the last answer of any kind came; the process' start before the first. */
  readonly lastContactMs: () => number
  /** Part of a total that is asked for beside others, at most: 0 to 1. */
  readonly most: number
}

export function createHolding(deps: Dependencies): Holding {
  const { name, kind, holder, ownership, timings, most } = deps
  const whole = kind === 'slots'
  let known: Known | undefined
  let held = 0
  let target = 0
  let reportedWant = 0
  /** Totals that the table may have of this process: of what was sent since the last answer, that one included. */
  let mostSent = 0

  const down = (value: number) => (whole ? Math.floor(value + EPSILON) : value)
  const isLive = (nowMs: number) => known !== undefined && nowMs < known.expiresAtMs
  const inUse = () => (whole ? Math.max(0, self.demand.inUse()) : 0)
  const total = () => Math.max(0, self.total ?? 0)
  function want(): number {
    const wanted = Math.max(self.demand.want(), inUse())
    const bound = whole ? Math.max(1, Math.floor(total() * most)) : total() * most
    return Number.isNaN(wanted) ? 0 : Math.min(total(), bound, whole ? Math.ceil(wanted) : wanted)
  }

  /** A sole holder keeps everything: its first request after a while must not wait. */
  function fairTarget({ others, covered, round }: Known, nowMs: number): number {
    // The others' totals, not the least of all: this process' own may have risen since.
    const capacity = down(Math.min(total(), ...others.map((row) => row.total)) * covered)
    const claims = [
      ...others.filter(({ expiresAtMs }) => expiresAtMs > nowMs),
      { holder, want: want(), weight: weightOf(self.demand) },
    ].sort((a, b) => (a.holder < b.holder ? -1 : 1))
    if (claims.length === 1) return capacity
    const shares = whole ? wholeShares(capacity, claims, round) : fairShares(capacity, claims)
    return shares[claims.findIndex((claim) => claim.holder === holder)]!
  }

  /**
   * Where more is held than there is now (a lower total, the floors of silent processes), everybody lowers in the same
   * proportion. The sum may have grown since the answer, up to what this process' own row allows: hence `mostSent`.
   */
  function proportion({ sum, covered, leastTotal }: Known): number {
    const heard = (leastTotal * covered) / Math.max(sum, leastTotal * covered, EPSILON)
    const own = (total() * covered) / Math.max(sum, mostSent * covered, EPSILON)
    return Math.min(1, heard, own)
  }

  /** When nobody has heard of this process for so long that all have left its floor alone. */
  function floor(nowMs: number): number {
    if (nowMs < deps.lastContactMs() + silentMs(timings)) return 0
    return down(total() * ownership.floorShare(nowMs))
  }

  const self: Holding = {
    name,
    kind,
    demand: idle,
    total: null,
    allowed: (nowMs) => {
      if (self.total === null) return Infinity
      if (!isLive(nowMs)) return floor(nowMs)
      return Math.max(0, Math.min(target, down(held * proportion(known!))))
    },
    ask: (nowMs, leaving = false) => {
      // Without a live lease nothing is known of the others: the first answer tells, the next request takes.
      target = leaving ? 0 : isLive(nowMs) ? fairTarget(known!, nowMs) : floor(nowMs)
      const asked = Math.max(target, inUse())
      held = isLive(nowMs) ? Math.min(held, asked) : 0
      mostSent = Math.max(mostSent, total())
      reportedWant = leaving ? 0 : want()
      return {
        resource: name,
        asked,
        whole,
        want: reportedWant,
        weight: weightOf(self.demand),
        // What still runs at the end keeps its place under the total it began with.
        total: leaving ? mostSent : total(),
        owned: ownership.vouched(nowMs),
        partitions: ownership.partitions(),
        leaving,
      }
    },
    answered: ({ rows, nowMs: databaseMs }, sentMs, nowMs) => {
      const live = rows.filter(({ resource }) => resource === name)
      const own = live.find((row) => row.holder === holder)
      if (!own) return
      known = {
        // From the arrival, so later than it is: a moment too late costs nothing, too early finds it still taken.
        others: live.filter((row) => row !== own).map((row) => ({ ...row, expiresAtMs: nowMs + row.expiresInMs })),
        sum: live.reduce((sum, row) => sum + row.held, 0),
        leastTotal: Math.min(...live.map((row) => row.total)),
        covered: own.covered,
        round: Math.floor(databaseMs / timings.rotateMs),
        expiresAtMs: sentMs + timings.ttlMs - timings.marginMs,
        answeredMs: nowMs,
      }
      held = own.held
      mostSent = own.total
      target = fairTarget(known, nowMs)
    },
    isUnheard: () => want() > reportedWant + EPSILON,
    early: (nowMs) => {
      if (!isLive(nowMs)) return undefined
      const { others, sum, covered, leastTotal } = known!
      const free = down(leastTotal * covered) - sum
      if (target < held - EPSILON) return Math.max(target, inUse()) < held - EPSILON ? 'now' : 'soon'
      if (target > held + EPSILON) return free > EPSILON ? 'now' : 'soon'
      // Others may want of it at any moment, and until this one has heard of that they wait.
      const even = (leastTotal * covered) / (others.length + 1)
      if (others.length > 0 && held > even + EPSILON) return known!.answeredMs + timings.lentMs
      if (want() <= held + EPSILON) return undefined
      // A row that is not renewed any more: what it holds is free the moment that it ends.
      const ends = others.filter((row) => row.held > 0).map((row) => row.expiresAtMs)
      return ends.length > 0 ? Math.min(...ends) + 1 : undefined
    },
    held: () => held,
    expiresAtMs: () => known?.expiresAtMs ?? -Infinity,
  }
  return self
}

const weightOf = ({ weight }: Demand) => Math.min(MOST_WEIGHT, Math.max(0, weight() || 0))
