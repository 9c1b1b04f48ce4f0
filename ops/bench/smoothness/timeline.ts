/** What was done to the pipeline and when, as the scenario goes on. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchEvent, Limits } from './recording.ts'
import { perSecond } from './stated-api.ts'

export function createTimeline(startedMs: () => number) {
  const events: BenchEvent[] = []
  const outages: { startMs: number; endMs: number }[] = []
  const limits = {
    requests: [{ fromMs: 0, perSecond: perSecond.requests }],
    tokens: [{ fromMs: 0, perSecond: perSecond.tokens }],
  } satisfies Limits
  return {
    ...{ events, outages, limits },
    /** Sleeps until so many seconds after the start of the flow. */
    at: async (seconds: number) => sleep(Math.max(0, startedMs() + seconds * 1000 - Date.now())),
    /** @param kind mark: only drawn. event: the minute after it is judged. recovery: the way back is measured too. */
    event: (label: string, kind: 'mark' | 'event' | 'recovery' = 'event', atMs = Date.now()) =>
      void events.push({ atMs, label, judged: kind !== 'mark', recovery: kind === 'recovery' }),
    outage: (startMs: number, endMs: number) => void outages.push({ startMs, endMs }),
    limit: (share: number, fromMs = Date.now()) => {
      limits.requests.push({ fromMs, perSecond: perSecond.requests * share })
      limits.tokens.push({ fromMs, perSecond: perSecond.tokens * share })
    },
  }
}
