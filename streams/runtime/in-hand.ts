/**
 * Outcomes of this process by record, kept until they are settled: what was under way or could not be written is not
 * worked out, nor paid for, a second time when a rebalance or an outage delivers its record again.
 */
import type { Outcome } from '../outcome.ts'
import { createHold } from './hold.ts'
import type { Hold } from './hold.ts'
import type { Clock } from './ports.ts'
import type { RawRecord } from './settle.ts'

interface Made {
  readonly outcome: Promise<Outcome>
  readonly hold: Hold
}
/** Of all partitions of a stage: one that is lost may come back as another assignment. */
export type OutcomesInHand = Map<string, Made>

export interface InHand {
  /** What its outcome waits for; of the work that is under way already, if there is any. */
  readonly holdOf: (id: string) => Hold
  readonly outcomeOf: (id: string) => Promise<Outcome> | undefined
  readonly keep: (id: string, hold: Hold, outcome: Promise<Outcome>) => Promise<Outcome>
  readonly settled: (id: string) => void
  /** The partition was lost: its records may come back to this process within a while, or go to another for good. */
  readonly close: (forGood: boolean) => void
}

const FORGET_AFTER_MS = 60_000

export function createInHand(all: OutcomesInHand, clock: Clock): InHand {
  const mine = new Map<string, Made>()

  function forget(id: string, made: Made) {
    mine.delete(id)
    if (all.get(id) === made) all.delete(id)
  }
  function forgetMine() {
    for (const [id, made] of [...mine]) forget(id, made)
  }
  return {
    holdOf: (id) => all.get(id)?.hold ?? createHold(clock),
    outcomeOf: (id) => all.get(id)?.outcome,
    keep: (id, hold, outcome) => {
      const made = { outcome, hold }
      all.set(id, made)
      mine.set(id, made)
      outcome.catch(() => forget(id, made))
      return outcome
    },
    settled: (id) => {
      all.delete(id)
      mine.delete(id)
    },
    close: (forGood) => {
      if (forGood) forgetMine()
      else if (mine.size > 0) clock.after(FORGET_AFTER_MS, forgetMine)
    },
  }
}

/** The same record at its redelivery; a topic made anew has other times. */
export const idOf = ({ assignment: { at }, offset, travelled }: RawRecord): string =>
  `${at.topic}/${at.partition}/${offset}@${travelled.timestampMs}`
