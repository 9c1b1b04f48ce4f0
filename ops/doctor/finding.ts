/** What a check is, and what it comes to. */
import type { Services } from '../services.ts'

export interface Finding {
  readonly check: string
  /** warn: works today, or could not be looked at. bad: does not work, or will lose something. */
  readonly state: 'ok' | 'warn' | 'bad'
  readonly detail: string
  /** What to do, with the command to run or the variable to set; there whenever something is wrong. */
  readonly hint?: string
}
export type Found = Omit<Finding, 'check'>

export interface Check {
  readonly name: string
  /** Checks it looks through, declared before it: while one of those is bad, it can tell nothing. */
  readonly needs?: readonly string[]
  /** Reads only: a doctor changes nothing. Whatever it throws is bad, with the hint of the error. */
  readonly look: (context: Context) => Promise<Found>
}

export interface Context {
  readonly services: Services
  /** This machine's clock, epoch milliseconds. */
  readonly now: () => number
}

export const ok = (detail: string): Found => ({ state: 'ok', detail })
export const warn = (detail: string, hint: string): Found => ({ state: 'warn', detail, hint })
export const bad = (detail: string, hint: string): Found => ({ state: 'bad', detail, hint })
