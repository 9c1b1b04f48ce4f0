/** pipeline.control without Kafka: one log, read by several instances, each of which sees it after a delay of its own. */
import type { PipelineControl } from '../../schemas/generated/types.ts'
import type { Clock } from '../../streams/runtime/ports.ts'
import { applyControl, controlDefaults, emptyControl } from '../../streams/throttle/control-state.ts'
import type { ControlChannel, ControlRecord, ControlState } from '../../streams/throttle/control-state.ts'

export interface FakeChannel extends ControlChannel {
  /** The instance is gone: what it writes is lost, and it reads nothing any more. */
  readonly die: () => void
}

type Entry = Omit<ControlRecord, 'live'>

export const controlValue = (value: Partial<PipelineControl>): PipelineControl => ({ ...controlDefaults, ...value })

/** `delayMs`: of the next hop, to the log or from it. Infinity: it never arrives. */
export function createControlLog(clock: Clock, delayMs: () => number = () => 0) {
  const entries: Entry[] = []
  const readers = new Set<() => void>()

  function append(entry: Entry) {
    entries.push(entry)
    for (const read of readers) read()
  }
  /** What a newcomer finds: all, or after compaction the last record of each key. */
  function read(log: readonly Entry[], state: ControlState, live: boolean): ControlState {
    return log.reduce((before, entry) => {
      const applied = applyControl(before, { ...entry, live }, clock.now())
      if (applied.problem !== undefined) throw new Error(applied.problem)
      return applied.state
    }, state)
  }
  function compacted(): Entry[] {
    const last = new Map(entries.map((entry) => [entry.key, entry]))
    return entries.filter((entry) => last.get(entry.key) === entry)
  }
  return {
    entries,
    replay: ({ compaction = false } = {}) => read(compaction ? compacted() : entries, emptyControl, false),
    connect: (instance: string, { compaction = false, skewMs = 0 } = {}): FakeChannel => {
      let state = read(compaction ? compacted() : entries, emptyControl, false)
      let position = entries.length
      let alive = true
      /** Neither hop overtakes: a producer and a consumer keep the order. */
      const arrivals = { write: 0, read: 0 }
      const calls = new Set<(state: ControlState) => void>()
      function hop(way: 'write' | 'read', arrive: () => void) {
        const ms = delayMs()
        if (ms === Infinity) return
        arrivals[way] = Math.max(arrivals[way], clock.now() + ms)
        if (arrivals[way] <= clock.now()) arrive()
        else clock.after(arrivals[way] - clock.now(), arrive)
      }
      function take() {
        if (!alive) return
        state = read([entries[position]!], state, true)
        position += 1
        for (const call of [...calls]) call(state)
      }
      const follow = () => hop('read', take)
      readers.add(follow)
      return {
        instance,
        state: () => state,
        onChange: (call) => {
          calls.add(call)
          return () => void calls.delete(call)
        },
        publish: (key, value) =>
          new Promise((resolve) => {
            const timestampMs = clock.now() + skewMs
            if (!alive) return
            hop('write', () => {
              append({ key, value: value && controlValue(value), timestampMs })
              resolve()
            })
          }),
        die: () => {
          alive = false
          readers.delete(follow)
        },
      }
    },
  }
}
