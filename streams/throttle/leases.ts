/**
 * One budget for the whole fleet, leased: every process renews its parts of all budgets in one statement a second, and
 * computes its fair part from what the others' rows say. Safety is the table's arithmetic, fairness is share.ts; who
 * cannot renew has nothing until the others have left its floor alone, and then the floor.
 */
import { errorMessage } from '../errors.ts'
import type { Clock, Logger } from '../runtime/ports.ts'
import { createHolding } from './leases-holding.ts'
import type { Holding } from './leases-holding.ts'
import { createOwnershipLog } from './leases-ownership.ts'
import type { Ownership, OwnershipLog } from './leases-ownership.ts'
import { leaseTimings } from './leases-port.ts'
import type { LeaseAnswer, LeaseAsk, LeaseTable, LeaseTimings } from './leases-port.ts'
import { createTurns } from './leases-turns.ts'
import type { Budget } from './ports.ts'

export interface LeasedBudget extends Budget {
  /** null: no limit from now on. A lower total holds here at once, in proportion. */
  readonly setTotal: (total: number | null) => void
}

export interface LeaseFigures {
  readonly name: string
  readonly kind: Budget['kind']
  readonly total: number | null
  readonly held: number
  /** null: without limit. */
  readonly allowed: number | null
  /** Slots in use. */
  readonly used: number
  /** Until the lease ends here unless it is renewed; 0: there is none. */
  readonly expiresInMs: number
}

export interface Leases {
  /** Once per name. */
  readonly budget: (name: string, kind: Budget['kind'], total: number | null) => LeasedBudget
  /** To be called at every assignment and revocation. */
  readonly ownershipChanged: () => void
  readonly figures: () => LeaseFigures[]
  readonly start: () => void
  /** Gives everything back; what slots are still in use is held until its lease ends. Never throws. */
  readonly close: () => Promise<void>
}

interface Dependencies {
  readonly clock: Clock
  /** Milliseconds that never jump: performance.now. */
  readonly monotonicNow: () => number
  readonly table: LeaseTable
  /** Of this very process: a restarted one needs another. */
  readonly holder: string
  readonly ownership: (budget: string) => Ownership
  readonly logger: Logger
  readonly timings?: LeaseTimings
  readonly random?: () => number
  /**
   * Part of each total that it asks for at most while others hold leases; 1 unless told. A process that can wait leaves
   * the rest free: what others need at once is then there, not to be given back first.
   */
  readonly most?: number
}

interface Entry {
  readonly holding: Holding
  readonly ownership: OwnershipLog
  readonly listeners: Set<() => void>
  announced: number
  /** The table may have a row of it. */
  listed: boolean
}

export function createLeases(deps: Dependencies): Leases {
  const {
    clock,
    monotonicNow: now,
    table,
    holder,
    logger,
    timings = leaseTimings,
    random = Math.random,
    most = 1,
  } = deps
  const entries = new Map<string, Entry>()
  let state: 'new' | 'running' | 'closed' = 'new'
  let sequence = 0
  let seenMs: number | null = null
  let lastContactMs = now()
  let cancelExpiry = () => {}

  const wishes = () => listed().map(({ holding }) => holding.early(now()))
  const turns = createTurns({ clock, now, logger, timings, random, renew, wishes })

  function listed(): Entry[] {
    return [...entries.values()].filter((entry) => entry.holding.total !== null || entry.listed)
  }

  function allowed({ holding }: Entry): number {
    return state === 'closed' && holding.total !== null ? 0 : holding.allowed(now())
  }
  function announce() {
    for (const entry of entries.values()) {
      const value = allowed(entry)
      if (value === entry.announced) continue
      entry.announced = value
      for (const call of [...entry.listeners]) call()
    }
  }
  function asksOf(all: readonly Entry[], sentMs: number, leaving = false): LeaseAsk[] {
    return all.map((entry) => {
      const leaves = leaving || entry.holding.total === null
      entry.listed = !leaves
      return entry.holding.ask(sentMs, leaves)
    })
  }

  async function renew(sentMs: number): Promise<void> {
    for (const { ownership } of listed()) ownership.sample(sentMs)
    const asks = asksOf(listed(), sentMs)
    announce() // what is asked less of is not used from here on, before anybody else can have it
    try {
      accept(await send(asks), sentMs, asks)
    } finally {
      announce()
    }
  }
  function send(asks: readonly LeaseAsk[]): Promise<LeaseAnswer> {
    sequence += 1
    let cancel = () => {}
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(timings.timeoutMs, () => reject(new Error(`no answer within ${timings.timeoutMs} ms`)))
    })
    return Promise.race([table.renew({ holder, sequence, seenMs, asks }), late]).finally(cancel)
  }
  function accept(answer: LeaseAnswer, sentMs: number, asks: readonly LeaseAsk[]) {
    if (state === 'closed') return
    const own = answer.rows.filter((row) => row.holder === holder)
    const missing = asks.filter(({ leaving }) => !leaving).length > own.length
    if (missing || own.some((row) => row.sequence !== sequence)) throw new Error('another process renews in this name')
    for (const { holding } of entries.values()) holding.answered(answer, sentMs, now())
    seenMs = Math.max(seenMs ?? 0, answer.nowMs)
    lastContactMs = now()
    cancelExpiry()
    cancelExpiry = clock.after(sentMs + timings.ttlMs - timings.marginMs - now(), announce)
  }

  function setTotal({ holding, ownership, listed }: Entry, total: number | null) {
    if (holding.total === total) return
    if (holding.total === null && !listed) ownership.reset()
    holding.total = total
    announce()
    turns.press()
  }
  function budgetOf(entry: Entry): LeasedBudget {
    const { holding, listeners } = entry
    return {
      name: holding.name,
      kind: holding.kind,
      total: () => holding.total,
      allowed: () => allowed(entry),
      hungry: () => {
        if (holding.total !== null && holding.isUnheard()) turns.press()
      },
      attach: (demand) => void (holding.demand = demand),
      onChange: (call) => {
        listeners.add(call)
        return () => void listeners.delete(call)
      },
      setTotal: (total) => setTotal(entry, total),
    }
  }
  return {
    budget: (name, kind, total) => {
      if (entries.has(name)) throw new Error(`the budget ${name} is there already`)
      const ownership = createOwnershipLog(() => deps.ownership(name), timings)
      const contact = () => lastContactMs
      const holding = createHolding({ name, kind, holder, ownership, timings, lastContactMs: contact, most })
      holding.total = total
      const entry: Entry = { holding, ownership, listeners: new Set(), announced: NaN, listed: false }
      entry.announced = allowed(entry)
      entries.set(name, entry)
      turns.press()
      return budgetOf(entry)
    },
    ownershipChanged: () => {
      for (const { ownership } of listed()) ownership.sample(now())
      turns.press()
    },
    figures: () =>
      [...entries.values()].map((entry) => ({
        name: entry.holding.name,
        kind: entry.holding.kind,
        total: entry.holding.total,
        held: entry.holding.held(),
        allowed: entry.holding.total === null ? null : allowed(entry),
        used: entry.holding.demand.inUse(),
        expiresInMs: Math.max(0, entry.holding.expiresAtMs() - now()),
      })),
    start: () => {
      if (state !== 'new') return
      state = 'running'
      turns.start()
    },
    close: async () => {
      if (state === 'closed') return
      state = 'closed'
      turns.stop()
      cancelExpiry()
      announce()
      const asks = asksOf(
        listed().filter((entry) => entry.listed),
        now(),
        true,
      )
      if (asks.length === 0) return
      await send(asks).catch((error: unknown) =>
        logger.debug({ error: errorMessage(error) }, 'leases were not given back; they end by themselves'),
      )
    },
  }
}
