/** Fetching goes on while the window has room; full, the partition is paused for whatever its work waits for. */
import type { PauseReason, PauseScheduler } from './pause-scheduler.ts'
import type { TopicPartition } from './ports.ts'
import type { Window } from './window.ts'

/** Why fetching waits while work goes on. */
const fetchReasons = ['rate', 'tenant', 'retry-due'] as const

interface Dependencies {
  readonly at: TopicPartition
  readonly scheduler: PauseScheduler
  readonly window: Pick<Window, 'isFull' | 'hasRoom'>
  readonly reason: () => PauseReason
}

export function createFetchRoom({ at, scheduler, window, reason }: Dependencies) {
  let full = false

  function open() {
    full = false
    for (const one of fetchReasons) scheduler.lift(at, one)
  }
  return {
    look: () => {
      if (full) {
        if (window.hasRoom()) open()
      } else if (window.isFull()) {
        full = true
        scheduler.pause(at, reason())
      }
    },
    /** A pause of ours would be nobody's, and a partition that was only claimed anew would never be fetched again. */
    close: () => {
      if (full) open()
    },
  }
}
