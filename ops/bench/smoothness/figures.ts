/** The figures of one recording. Pure: everything is made of the receivers' logs. */
import { fullestWindow, inFlight, overRate, peakToMean, percentile, recovery } from './analysis.ts'
import type { Peak, Weighted } from './analysis.ts'
import type { BenchEvent, LoggedRequest, Recording } from './recording.ts'
import { repeats, spansOf, waitsOf } from './log-views.ts'
import { inFlightLimits, perSecond } from './stated-api.ts'

export interface EventFigures {
  readonly label: string
  /** In the minute after it. null: too little flowed. */
  readonly peak: Peak | null
  /** Seconds until steady again; null: never, or not measured. */
  readonly steadyAfterS: number | null
  readonly swings: number | null
  readonly recovery: boolean
}

export interface Figures {
  readonly id: string
  readonly requests: number
  readonly tokens: number
  /** Steady part: null where it is too short. */
  readonly peak: Peak | null
  /** Most requests in one second, whatever the average. */
  readonly mostInASecond: number
  readonly events: readonly EventFigures[]
  readonly inFlight: { readonly embeddings: number; readonly postgres: number; readonly overMs: number }
  /** Embeddings requests and Postgres work in flight together. */
  readonly outstanding: number
  readonly tasksOpen: number | null
  /** Share above the limit in the worst 10 s; negative numbers do not occur. */
  readonly overRate: { readonly requests: number; readonly tokens: number }
  readonly refused: number
  /** Inputs sent again, as a share of all that were sent. */
  readonly retryShare: number
  /** 429s as a share of all requests. */
  readonly refusedShare: number
  readonly drainS: number | null
  readonly idealS: number
  readonly drainRatio: number | null
  /** Seconds from publication to the answer that completes a page. */
  readonly waitP99S: number
  readonly arms: Readonly<Record<string, number>>
  readonly stored: number
  readonly published: number
}

const SECOND = 1_000
/** What the ramp at the start may take before the flow is called steady. */
const RAMP_MS = 3 * SECOND
/** Of all tokens: the tail, where work runs out, is no flow. */
const STEADY_SHARE = 0.9
const EVENT_MS = 60 * SECOND
const RATE_WINDOW_MS = 10 * SECOND

export function figuresOf(recording: Recording): Figures {
  const { embeddings, limits, startedMs, drainedMs } = recording
  const answered = embeddings.filter(({ status }) => status === 200)
  const times = embeddings.map(({ atMs }) => atMs)
  const tokens = sum(answered.map((request) => request.tokens))
  const steadyUntilMs = steadyEnd(answered, tokens)
  const steadyFromMs = (times[0] ?? 0) + RAMP_MS
  const spans = spansOf(recording)
  const idealS = Math.max(tokens / perSecond.tokens, answered.length / perSecond.requests)
  const drainS = drainedMs === null ? null : (drainedMs - startedMs) / SECOND
  const refused = embeddings.filter(({ status }) => status === 429).length
  const waits = waitsOf(recording)
  return {
    id: recording.id,
    requests: embeddings.length,
    tokens,
    peak: peakToMean(times, steadyFromMs, steadyUntilMs),
    mostInASecond: fullestWindow(embeddings.map(unweighted), SECOND).sum,
    events: eventsOf(recording, times, steadyUntilMs, referenceRate(answered, steadyFromMs, steadyUntilMs)),
    inFlight: {
      embeddings: inFlight(spans.embeddings).most,
      postgres: inFlight(spans.postgres).most,
      overMs:
        inFlight(spans.embeddings, inFlightLimits.embeddings).overMs +
        inFlight(spans.postgres, inFlightLimits.postgres).overMs,
    },
    outstanding: inFlight([...spans.embeddings, ...spans.postgres]).most,
    tasksOpen: recording.tasksOpen,
    overRate: {
      requests: overRate(embeddings.map(unweighted), limits.requests, RATE_WINDOW_MS),
      tokens: overRate(
        embeddings.map((request) => ({ atMs: request.atMs, weight: request.tokens })),
        limits.tokens,
        RATE_WINDOW_MS,
        recording.instances,
      ),
    },
    refused,
    refusedShare: share(refused, embeddings.length),
    retryShare: share(repeats(embeddings), embeddings.length),
    ...{ drainS, idealS, drainRatio: drainS === null ? null : drainS / idealS },
    waitP99S: percentile([...waits.values()], 0.99) / SECOND,
    arms: Object.fromEntries(
      Object.entries(recording.arms).map(([arm, pages]) => [
        arm,
        percentile(
          pages.map((page) => waits.get(page) ?? Infinity),
          0.99,
        ) / SECOND,
      ]),
    ),
    ...recording.pages,
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole)
const unweighted = ({ atMs }: LoggedRequest): Weighted => ({ atMs, weight: 1 })

/** When 90% of the tokens had been answered. */
function steadyEnd(answered: readonly LoggedRequest[], tokens: number): number {
  let served = 0
  for (const request of answered) if ((served += request.tokens) >= STEADY_SHARE * tokens) return request.atMs
  return 0
}

/** Requests a second that the tokens' limit allows for requests of this scenario's size; at most the requests' own. */
function referenceRate(answered: readonly LoggedRequest[], fromMs: number, toMs: number): number {
  const inside = answered.filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
  const size = sum(inside.map(({ tokens }) => tokens)) / inside.length
  return Math.min(perSecond.requests, perSecond.tokens / size)
}

/** Each judged event's minute, which ends with the next one: half the rate is no mean for what comes after it. */
function eventsOf({ events }: Recording, times: readonly number[], untilMs: number, reference: number): EventFigures[] {
  const judged = events.filter((event) => event.judged)
  return judged.map((event, index) =>
    eventFigures(event, times, Math.min(untilMs, judged[index + 1]?.atMs ?? Infinity), reference),
  )
}

/** The minute begins with the first arrival: an instance that starts sends nothing for a while. */
function eventFigures(
  { atMs, label, recovery: recovers }: BenchEvent,
  times: readonly number[],
  untilMs: number,
  reference: number,
): EventFigures {
  const fromMs = times.find((at) => at >= atMs) ?? atMs
  const toMs = Math.min(fromMs + EVENT_MS, untilMs)
  const back = recovers ? recovery(times, atMs, untilMs, reference) : undefined
  return {
    label,
    peak: toMs > fromMs ? peakToMean(times, fromMs, toMs) : null,
    steadyAfterS: back?.afterMs === undefined || back.afterMs === null ? null : back.afterMs / SECOND,
    swings: back?.swings ?? null,
    recovery: recovers,
  }
}
