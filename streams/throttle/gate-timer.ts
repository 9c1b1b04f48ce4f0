/** One timer that is moved about. */
import type { Clock } from '../runtime/ports.ts'

export interface Timer {
  /** Calls at this time instead of any other; Infinity: not at all. */
  readonly set: (dueMs: number) => void
}

export function createTimer({ clock, call }: { clock: Clock; call: () => void }): Timer {
  let armed: { readonly dueMs: number; readonly cancel: () => void } | undefined

  function fire() {
    armed = undefined
    call()
  }
  return {
    set: (dueMs) => {
      if (armed?.dueMs === dueMs) return
      armed?.cancel()
      // Whole milliseconds: setTimeout cuts fractions off and would call too early, every time.
      const ms = Math.max(0, Math.ceil(dueMs - clock.now()))
      armed = dueMs === Infinity ? undefined : { dueMs, cancel: clock.after(ms, fire) }
    },
  }
}
