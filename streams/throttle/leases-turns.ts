/**
 * When a process renews: in its turn, once a second; before it when that would change something, but not faster than
 * every `urgentGapMs`, and never while nobody answers: a database in trouble gets no more requests than a healthy one.
 */
import { errorMessage } from '../errors.ts'
import type { Clock, Logger } from '../runtime/ports.ts'
import type { LeaseTimings } from './leases-port.ts'

/** now; soon: others still have to give back; a moment; undefined: in its turn. */
export type Wish = 'now' | 'soon' | number | undefined

export interface Turns {
  readonly start: () => void
  /** Before its turn. Cheap to call often. */
  readonly press: () => void
  readonly stop: () => void
}

interface Dependencies {
  readonly clock: Clock
  readonly now: () => number
  readonly logger: Logger
  readonly timings: LeaseTimings
  readonly random: () => number
  /** @throws when nothing was renewed. */
  readonly renew: (sentMs: number) => Promise<void>
  /** One a budget; none: nothing is to be renewed, and there is no timer. */
  readonly wishes: () => Wish[]
}

export function createTurns({ clock, now, logger, timings, random, renew, wishes }: Dependencies): Turns {
  let running = false
  let busy = false
  let failing = false
  let pressed = false
  let nextTurnMs = -Infinity
  let lastSentMs = -Infinity
  let lastUrgentMs = -Infinity
  let cancel = () => {}

  function schedule() {
    cancel()
    if (!running || busy) return
    const all = wishes()
    if (all.length > 0) cancel = clock.after(Math.max(0, dueMs(all) - now()), take)
    else pressed = false // there is nothing to renew; the press that comes with something must count
  }
  function dueMs(all: readonly Wish[]): number {
    if (failing) return nextTurnMs
    const early = all.map((wish) => {
      if (wish === 'soon') return lastSentMs + timings.pollMs
      return wish === 'now' ? now() : (wish ?? Infinity)
    })
    const wished = Math.min(pressed ? now() : Infinity, ...early)
    return Math.min(nextTurnMs, Math.max(wished, lastUrgentMs + timings.urgentGapMs))
  }
  async function take(): Promise<void> {
    lastSentMs = now()
    if (lastSentMs < nextTurnMs) lastUrgentMs = lastSentMs
    nextTurnMs = lastSentMs + timings.renewMs * (1 + timings.jitter * (2 * random() - 1))
    pressed = false
    busy = true
    try {
      await renew(lastSentMs)
      if (failing) logger.info({}, 'leases of the budgets are renewed again')
      failing = false
    } catch (error) {
      if (!failing) logger.warn({ error: errorMessage(error) }, 'leases of the budgets cannot be renewed')
      failing = true
    }
    busy = false
    schedule()
  }
  return {
    start: () => {
      running = true
      schedule()
    },
    press: () => {
      if (pressed || !running) return
      pressed = true
      schedule()
    },
    stop: () => {
      running = false
      cancel()
    },
  }
}
