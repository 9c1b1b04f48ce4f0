/** Stand-ins for the tests of a gate. */
import type { Clock } from '../runtime/ports.ts'
import type { Ask, Budget, Demand } from './ports.ts'

export interface FakeBudget extends Budget {
  readonly set: (allowed: number) => void
  readonly demand: () => Demand
  readonly hungryCalls: () => number
  readonly listeners: () => number
}

export function fakeBudget(
  kind: Budget['kind'],
  allowed: number,
  { total = null, name = kind, onHungry }: { total?: number | null; name?: string; onHungry?: () => void } = {},
): FakeBudget {
  const calls = new Set<() => void>()
  let demand: Demand | undefined
  let now = allowed
  let hungry = 0
  return {
    name,
    kind,
    total: () => total,
    allowed: () => now,
    hungry: () => {
      hungry += 1
      onHungry?.()
    },
    attach: (given) => {
      demand = given
    },
    onChange: (call) => {
      calls.add(call)
      return () => void calls.delete(call)
    },
    set: (to) => {
      now = to
      for (const call of calls) call()
    },
    demand: () => demand!,
    hungryCalls: () => hungry,
    listeners: () => calls.size,
  }
}

/** Timers of a busy event loop: each is late by up to `maxMs`. */
export const lateTimers = (clock: Clock, maxMs: number, random: () => number): Clock => ({
  now: clock.now,
  after: (ms, call) => clock.after(ms + Math.floor(random() * (maxMs + 1)), call),
})

export const ask = (tenantId: string, given: Partial<Ask> = {}): Ask => ({
  tenantId,
  lane: 'live',
  cost: 1,
  takes: { rate: 1 },
  ...given,
})
