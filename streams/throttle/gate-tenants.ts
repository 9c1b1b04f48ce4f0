/** What a tenant's own limits hold back, while everybody else goes on: its rates, and the order in which lines wake. */
import type { Clock } from '../runtime/ports.ts'
import type { Ask, TenantLimits } from './ports.ts'
import { createRate } from './rate.ts'
import type { Rate } from './rate.ts'

/** Lines that are free are forgotten from this many tenants on. */
const SWEEP_FROM = 1024

export interface TenantRates {
  readonly waitMs: (ask: Ask, nowMs: number) => number
  /** How long its rates take for so many like it. */
  readonly queuedMs: (ask: Ask, count: number) => number
  readonly take: (ask: Ask) => void
  readonly giveBack: (ask: Ask) => void
  /** It waits for its tenant's rates until then; null: nothing of this tenant waits any more. */
  readonly expect: (ask: Ask, dueMs: number | null) => void
}

export function createTenantRates({ clock, limits }: { clock: Clock; limits: TenantLimits }): TenantRates {
  const tenants = new Map<string, Map<string, Rate>>()
  let sweepAt = SWEEP_FROM

  /** Its lines for what is asked; limits are read live, so a line may come and go. */
  function* linesOf({ tenantId, takes }: Ask): Generator<[Rate, number]> {
    const rates = takes && limits.ratesOf(tenantId)
    if (!rates) return
    for (const name of Object.keys(rates)) {
      const cost = takes[name] ?? 0
      if (cost > 0) yield [line(tenantId, name), cost]
    }
  }
  function line(tenantId: string, name: string): Rate {
    let lines = tenants.get(tenantId)
    if (!lines) {
      if (tenants.size >= sweepAt) sweep()
      tenants.set(tenantId, (lines = new Map<string, Rate>()))
    }
    let rate = lines.get(name)
    if (!rate) {
      rate = createRate({ clock, perSecond: () => limits.ratesOf(tenantId)?.[name] ?? Infinity })
      lines.set(name, rate)
    }
    return rate
  }
  function sweep() {
    for (const [tenantId, lines] of tenants)
      if ([...lines.values()].every((rate) => rate.isFree())) tenants.delete(tenantId)
    sweepAt = Math.max(SWEEP_FROM, tenants.size * 2) // else a map that is full of busy ones is swept at every call
  }
  return {
    waitMs: (ask, nowMs) => {
      let longest = 0
      for (const [rate] of linesOf(ask)) longest = Math.max(longest, rate.waitMs(nowMs))
      return longest
    },
    queuedMs: (ask, count) => {
      let longest = 0
      if (count > 0)
        for (const [rate, cost] of linesOf(ask)) longest = Math.max(longest, (count * cost * 1000) / rate.perSecond())
      return longest
    },
    take: (ask) => {
      for (const [rate, cost] of linesOf(ask)) rate.take(cost)
    },
    giveBack: (ask) => {
      for (const [rate, cost] of linesOf(ask)) rate.giveBack(cost)
    },
    expect: (ask, dueMs) => {
      for (const [rate] of linesOf(ask)) rate.expect(dueMs)
    },
  }
}

export interface Alarms<Item> {
  readonly add: (dueMs: number, item: Item) => void
  /** Infinity: none. */
  readonly nextMs: () => number
  /** Takes one out that is due. */
  readonly due: (nowMs: number) => Item | undefined
}

/** A binary heap: one timer serves all the tenants that are held. */
export function createAlarms<Item>(): Alarms<Item> {
  const heap: { readonly dueMs: number; readonly item: Item }[] = []

  const before = (a: number, b: number) => heap[a]!.dueMs < heap[b]!.dueMs
  function swap(a: number, b: number) {
    const kept = heap[a]!
    heap[a] = heap[b]!
    heap[b] = kept
  }
  function sink(from: number) {
    for (let at = from; ;) {
      const left = 2 * at + 1
      if (left >= heap.length) return
      const child = left + 1 < heap.length && before(left + 1, left) ? left + 1 : left
      if (!before(child, at)) return
      swap(at, child)
      at = child
    }
  }
  return {
    add: (dueMs, item) => {
      heap.push({ dueMs, item })
      for (let at = heap.length - 1; at > 0;) {
        const parent = (at - 1) >> 1
        if (!before(at, parent)) return
        swap(at, parent)
        at = parent
      }
    },
    nextMs: () => heap[0]?.dueMs ?? Infinity,
    due: (nowMs) => {
      const first = heap[0]
      if (!first || first.dueMs > nowMs) return undefined
      swap(0, heap.length - 1)
      heap.pop()
      sink(0)
      return first.item
    },
  }
}
