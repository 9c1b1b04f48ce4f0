/** A clock that moves only when told to: no sleeps, and no test that depends on how fast the machine is. */
import type { Clock } from '../../streams/runtime/ports.ts'

export interface FakeClock extends Clock {
  /** Moves on by `ms`, firing what falls due in order; between two calls all promises that can settle do settle. */
  readonly advance: (ms: number) => Promise<void>
  /** Lets promises settle without moving the time. */
  readonly settle: () => Promise<void>
  /** Timers that wait: a test can assert that nothing was left behind. */
  readonly pending: () => number
}

export function createFakeClock(startMs = 1_700_000_000_000): FakeClock {
  let nowMs = startMs
  let sequence = 0
  const timers = new Map<number, { dueMs: number; call: () => void }>()

  function nextUntil(endMs: number): [number, { dueMs: number; call: () => void }] | undefined {
    let first: [number, { dueMs: number; call: () => void }] | undefined
    for (const entry of timers) if (!first || entry[1].dueMs < first[1].dueMs) first = entry
    return first && first[1].dueMs <= endMs ? first : undefined
  }
  /** A few turns of the event loop: chains of promises end in the first, real I/O callbacks in the next. */
  async function settle() {
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    now: () => nowMs,
    after: (ms, call) => {
      const id = sequence++
      timers.set(id, { dueMs: nowMs + Math.max(0, ms), call })
      return () => void timers.delete(id)
    },
    advance: async (ms) => {
      const endMs = nowMs + ms
      await settle()
      for (let next = nextUntil(endMs); next; next = nextUntil(endMs)) {
        timers.delete(next[0])
        nowMs = Math.max(nowMs, next[1].dueMs)
        next[1].call()
        await settle()
      }
      nowMs = endMs
    },
    settle,
    pending: () => timers.size,
  }
}
