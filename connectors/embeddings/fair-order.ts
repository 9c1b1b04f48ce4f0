/**
 * Deficit round-robin over tenants, counted in tokens (Shreedhar and Varghese, 1995): a tenant's turn is worth a
 * quantum, what it cannot spend is kept for its next turn, and a tenant alone takes everything. A tenant's own inputs
 * stay in their order.
 */
import type { Item } from './queue.ts'

interface Tenant {
  items: Item[]
  /** Index of the first that was not taken; shifting an array of 10,000 for each one would be quadratic. */
  next: number
  deficit: number
  /** Its quantum for this turn is already in the deficit: a turn may last over several requests. */
  onTurn: boolean
}

/** About seven chunks, a usual page: it goes in one request. With half of it, a page beside a flood waits for two. */
const QUANTUM = 1024
/** Keeps the rounds few that an input of 8,192 tokens saves up for, whatever the request is to hold. */
const MIN_QUANTUM = 64
/** Items taken are kept until so many of them are there to be forgotten together. */
const FORGET_AT = 1024

export function createFairOrder() {
  // A map keeps the order of insertion: to delete and to set again is to go to the end of the round.
  const round = new Map<string, Tenant>()

  return {
    add: (tenantId: string, items: readonly Item[]) => {
      const tenant = round.get(tenantId) ?? { items: [], next: 0, deficit: 0, onTurn: false }
      for (const item of items) tenant.items.push(item)
      if (tenant.items.length > 0) round.set(tenantId, tenant)
    },
    isEmpty: () => round.size === 0,
    /** Whose turn it is, without taking it. `requestTokens`: a turn is never worth more than a request. */
    peek: (requestTokens: number): Item | undefined => {
      const quantum = Math.max(MIN_QUANTUM, Math.min(QUANTUM, requestTokens))
      for (;;) {
        const first = round.entries().next().value
        if (!first) return undefined
        const [tenantId, tenant] = first
        if (!tenant.onTurn) tenant.deficit += quantum
        tenant.onTurn = true
        const item = tenant.items[tenant.next] as Item
        if (item.tokens <= tenant.deficit) return item
        tenant.onTurn = false
        round.delete(tenantId)
        round.set(tenantId, tenant)
      }
    },
    /** Takes what `peek` has shown. */
    take: (item: Item): void => {
      const tenant = round.get(item.job.tenantId) as Tenant
      tenant.deficit -= item.tokens
      tenant.next += 1
      if (tenant.next === tenant.items.length) round.delete(item.job.tenantId)
      else if (tenant.next >= FORGET_AT) {
        tenant.items.splice(0, tenant.next)
        tenant.next = 0
      }
    },
    keep: (isWanted: (item: Item) => boolean): void => {
      for (const [tenantId, tenant] of round) {
        tenant.items = tenant.items.slice(tenant.next).filter(isWanted)
        tenant.next = 0
        if (tenant.items.length === 0) round.delete(tenantId)
      }
    },
    items: (): Item[] => [...round.values()].flatMap(({ items, next }) => items.slice(next)),
  }
}
