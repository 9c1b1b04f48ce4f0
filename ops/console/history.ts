/** The last 15 minutes of this instance in memory, so that a console that is opened knows how it came to this. */
import type { Clock } from '../../streams/runtime/ports.ts'

export const SAMPLE_MS = 5_000
export const SAMPLES = (15 * 60_000) / SAMPLE_MS

/** Short names, rounded numbers: 180 of them are sent to each console that connects. */
export interface Sample {
  readonly atMs: number
  readonly stages: Readonly<
    Record<string, { readonly perSecond: number; readonly lag: number; readonly ageSeconds: number }>
  >
  /** `limit` null: none. `held`: seconds of the interval that the first in line waited, by what held it up. */
  readonly gates: Readonly<
    Record<
      string,
      {
        readonly inFlight: number
        readonly limit: number | null
        readonly waiting: number
        readonly held: Readonly<Record<string, number>>
      }
    >
  >
  /** Asked of the embeddings API since the sample before. */
  readonly usage: { readonly requestsPerSecond: number; readonly tokensPerSecond: number }
  readonly breakers: Readonly<Record<string, string>>
}

export interface History {
  /** Oldest first. */
  readonly all: () => readonly Sample[]
  readonly onSample: (call: (sample: Sample) => void) => () => void
  readonly close: () => void
}

/** One timer that reads memory every 5 s: nothing else runs while nobody looks. */
export function createHistory(read: () => Sample, clock: Pick<Clock, 'after'>): History {
  let samples: Sample[] = []
  const calls = new Set<(sample: Sample) => void>()
  let cancel = () => {}
  function take() {
    const sample = read()
    samples = [...samples.slice(1 - SAMPLES), sample]
    for (const call of [...calls]) call(sample)
    cancel = clock.after(SAMPLE_MS, take)
  }
  take()
  return {
    all: () => samples,
    onSample: (call) => {
      calls.add(call)
      return () => void calls.delete(call)
    },
    close: () => cancel(),
  }
}
