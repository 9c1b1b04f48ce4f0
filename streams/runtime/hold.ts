/**
 * Time in which the work on a record stands at a gate behind its stage. It counts neither against the record's deadline
 * nor as hanging; time in which it does anything else counts, whoever else stands at a gate. What it calls does not know
 * its record, so the record is found by the asynchronous context.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from './ports.ts'

export interface Hold {
  readonly clock: Clock
  /** Gates it stands at now: a handler may call several things at once. */
  depth: number
  sinceMs: number
  pastMs: number
}

export const createHold = (clock: Clock): Hold => ({ clock, depth: 0, sinceMs: 0, pastMs: 0 })

const current = new AsyncLocalStorage<readonly Hold[]>()

/** What `work` waits for at gates counts for all of these records: a transaction holds several. */
export function workFor<T>(holds: readonly Hold[], work: () => T): T {
  return current.run(holds, work)
}

/** Outside of a record's work nobody counts. */
export const currentHolds = (): readonly Hold[] => current.getStore() ?? []

/** `work` only waits, or ends by itself otherwise. */
export async function whileHeld<T>(work: () => Promise<T>): Promise<T> {
  const holds = currentHolds()
  for (const hold of holds) begin(hold)
  try {
    return await work()
  } finally {
    for (const hold of holds) end(hold)
  }
}

export function begin(hold: Hold): void {
  if (hold.depth === 0) hold.sinceMs = hold.clock.now()
  hold.depth += 1
}
export function end(hold: Hold): void {
  hold.depth -= 1
  if (hold.depth === 0) hold.pastMs += hold.clock.now() - hold.sinceMs
}

export const isHeld = (hold: Hold): boolean => hold.depth > 0
export const heldMs = (hold: Hold): number => hold.pastMs + (hold.depth > 0 ? hold.clock.now() - hold.sinceMs : 0)
