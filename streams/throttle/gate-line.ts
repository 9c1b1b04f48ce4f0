/**
 * Those who wait at a gate: in fair order, passing over the tenants whose own limits hold them. A line that is held
 * wakes by itself when its limits let it; one alarm clock serves all of them.
 */
import type { Clock } from '../runtime/ports.ts'
import { createFairQueue } from './fair-queue.ts'
import type { Entry, Line } from './fair-queue.ts'
import { createAlarms, createTenantRates } from './gate-tenants.ts'
import type { Ask, Release, TenantLimits } from './ports.ts'

/** A tenant's limit may be raised while its line is held, and nobody tells: looked at again at the latest then. */
const HOLD_MS = 1000

export interface Waiter {
  readonly ask: Ask
  readonly sinceMs: number
  readonly pass: (release: Release) => void
  readonly refuse: (error: unknown) => void
}

export interface GateLine {
  /** The next to leave, once what all share allows it. */
  readonly head: (nowMs: number) => Entry<Waiter> | undefined
  readonly add: (waiter: Waiter) => Entry<Waiter>
  readonly serve: (head: Entry<Waiter>) => void
  readonly remove: (entry: Entry<Waiter>) => void
  readonly removeAll: () => Waiter[]
  readonly size: () => number
  /** Nobody of its tenant is before it, and its limits let it go now. */
  readonly tenantAllows: (ask: Ask) => boolean
  /** Somebody waits for what all share. */
  readonly contended: () => boolean
  /** When the first of the held lines wakes; Infinity: none is held. */
  readonly wakeMs: () => number
  /** Charged to the tenant's own limits. */
  readonly take: (ask: Ask) => void
  readonly giveBack: (ask: Ask) => void
  /** How many would leave before it, and how long its tenant's own limits keep it, about. */
  readonly before: (ask: Ask) => { readonly ahead: number; readonly tenantMs: number }
  readonly oldestMs: () => number | undefined
}

export function createGateLine({ clock, tenants }: { clock: Clock; tenants: TenantLimits | undefined }): GateLine {
  const queue = createFairQueue<Waiter>()
  const own = tenants && createTenantRates({ clock, limits: tenants })
  const held = createAlarms<Line<Waiter>>()

  function settle({ line, item }: Entry<Waiter>) {
    if (line.count === 0) own?.expect(item.ask, null)
  }
  return {
    head: (nowMs) => {
      for (let line = held.due(nowMs); line; line = held.due(nowMs)) queue.ready(line)
      for (let head = queue.head(); head; head = queue.head()) {
        const ms = own ? own.waitMs(head.item.ask, nowMs) : 0
        if (ms === 0) return head
        own?.expect(head.item.ask, nowMs + ms)
        queue.hold(head.line)
        held.add(nowMs + Math.min(ms, HOLD_MS), head.line)
      }
      return undefined
    },
    add: (waiter) => queue.add(waiter.ask.tenantId, waiter.ask.lane, waiter.ask.cost, waiter),
    serve: (head) => {
      queue.serve(head)
      settle(head)
    },
    remove: (entry) => {
      queue.remove(entry)
      settle(entry)
    },
    removeAll: () => {
      const waiters: Waiter[] = []
      for (const { entries } of queue.lines())
        for (let entry = entries.first(); entry; entry = entries.first()) {
          queue.remove(entry)
          settle(entry)
          waiters.push(entry.item)
        }
      return waiters
    },
    size: queue.size,
    contended: () => queue.eligible() > 0,
    tenantAllows: (ask) => !own || (!queue.line(ask.tenantId, ask.lane) && own.waitMs(ask, clock.now()) === 0),
    wakeMs: held.nextMs,
    take: (ask) => own?.take(ask),
    giveBack: (ask) => own?.giveBack(ask),
    before: (ask) => {
      const mine = queue.line(ask.tenantId, ask.lane)?.count ?? 0
      return {
        // The n-th of its tenant leaves in about the n-th round; all who wait are before it at most.
        ahead: Math.min(queue.size(), (mine + 1) * queue.eligible()),
        tenantMs: own ? own.waitMs(ask, clock.now()) + own.queuedMs(ask, mine) : 0,
      }
    },
    oldestMs: () => {
      let oldestMs: number | undefined
      for (const { entries } of queue.lines()) {
        const sinceMs = entries.first()?.item.sinceMs
        if (sinceMs !== undefined) oldestMs = Math.min(oldestMs ?? sinceMs, sinceMs)
      }
      return oldestMs
    },
  }
}
