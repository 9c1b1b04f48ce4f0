/**
 * What a log of arrivals says about smoothness. Pure: times are epoch milliseconds, sorted where they are `times`; windows
 * are half-open, [from, from + length), so that an even flow has a peak of its mean whatever the phase.
 */

export interface Span {
  readonly startMs: number
  /** null: it has not ended. */
  readonly endMs: number | null
}

/** A limit that holds from `fromMs` on, until the next one does. */
export interface LimitStep {
  readonly fromMs: number
  readonly perSecond: number
}

export interface Weighted {
  readonly atMs: number
  /** 1 for a request, its tokens for a flow of tokens. */
  readonly weight: number
}

/** A window shows a herd only if it holds this many arrivals on average: four a second cannot do better than 5/4. */
const ARRIVALS_PER_WINDOW = 10
/** Within a quarter of the even flow: with ten arrivals a window two more or two fewer are still steady. */
const STEADY_BAND = 0.25

export const windowMs = (perSecond: number): number =>
  perSecond > 0 ? Math.max(1000, (ARRIVALS_PER_WINDOW / perSecond) * 1000) : Infinity

export interface Peak {
  readonly ratio: number
  /** Arrivals a second over the whole stretch. */
  readonly perSecond: number
  readonly windowMs: number
  /** Where the fullest window begins. */
  readonly atMs: number
}

/** Largest window over the mean of [fromMs, toMs). null: too short to hold two windows, or too little in it. */
export function peakToMean(times: readonly number[], fromMs: number, toMs: number): Peak | null {
  const inside = times.filter((at) => at >= fromMs && at < toMs)
  const perSecond = (inside.length / (toMs - fromMs)) * 1000
  const length = windowMs(perSecond)
  if (inside.length === 0 || toMs - fromMs < 2 * length) return null
  const fullest = fullestWindow(
    inside.map((atMs) => ({ atMs, weight: 1 })),
    length,
  )
  return { ratio: fullest.sum / ((perSecond * length) / 1000), perSecond, windowMs: length, atMs: fullest.atMs }
}

/** Every fullest window begins with an arrival: only those are looked at. */
export function fullestWindow(arrivals: readonly Weighted[], lengthMs: number): { sum: number; atMs: number } {
  let best = { sum: 0, atMs: arrivals[0]?.atMs ?? 0 }
  let sum = 0
  let end = 0
  for (const { atMs, weight } of arrivals) {
    while (end < arrivals.length && arrivals[end]!.atMs < atMs + lengthMs) sum += arrivals[end++]!.weight
    if (sum > best.sum) best = { sum, atMs }
    sum -= weight
  }
  return best
}

/**
 * By what share any window of `lengthMs` holds more than the limit allows in it; 0 when none does. `ahead`: so many of
 * the last arrivals are not counted: a limiter is right to let one request of any size run ahead, and each of several
 * instances has one.
 */
export function overRate(
  arrivals: readonly Weighted[],
  limits: readonly LimitStep[],
  lengthMs: number,
  ahead = 0,
): number {
  let worst = 0
  let sum = 0
  let end = 0
  for (const { atMs, weight } of arrivals) {
    while (end < arrivals.length && arrivals[end]!.atMs < atMs + lengthMs) sum += arrivals[end++]!.weight
    let counted = sum
    for (let last = Math.max(0, end - ahead); last < end; last += 1) counted -= arrivals[last]!.weight
    worst = Math.max(worst, counted / allowedWithin(limits, atMs, atMs + lengthMs) - 1)
    sum -= weight
  }
  return worst
}

/** What the limits allow in [fromMs, toMs); the first one holds before its own time too. */
export function allowedWithin(limits: readonly LimitStep[], fromMs: number, toMs: number): number {
  return limits.reduce((allowed, { fromMs: since, perSecond }, index) => {
    const begins = index === 0 ? fromMs : Math.max(since, fromMs)
    const ends = Math.min(limits[index + 1]?.fromMs ?? Infinity, toMs)
    return allowed + (Math.max(0, ends - begins) * perSecond) / 1000
  }, 0)
}

export interface InFlight {
  readonly most: number
  readonly atMs: number
  /** Time spent above `limit`, ms. */
  readonly overMs: number
}

/** At one instant ends come before starts: who leaves makes room. */
export function inFlight(spans: readonly Span[], limit = Infinity): InFlight {
  let now = 0
  let most = 0
  let atMs = 0
  let overMs = 0
  let sinceMs = 0
  for (const edge of edgesOf(spans)) {
    if (now > limit) overMs += edge.atMs - sinceMs
    sinceMs = edge.atMs
    now += edge.step
    if (now > most) {
      most = now
      atMs = edge.atMs
    }
  }
  return { most, atMs, overMs }
}

/** Changes of the number in flight, in order. What has not ended counts until the end of time. */
export function edgesOf(spans: readonly Span[]): { readonly atMs: number; readonly step: 1 | -1 }[] {
  const edges = spans.flatMap(({ startMs, endMs }) => [
    { atMs: startMs, step: 1 as const },
    ...(endMs === null ? [] : [{ atMs: endMs, step: -1 as const }]),
  ])
  return edges.sort((a, b) => a.atMs - b.atMs || a.step - b.step)
}

/** Nearest rank; NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export interface Recovery {
  /** From `fromMs` to the window from which on all windows are steady; null: none is. */
  readonly afterMs: number | null
  /** Swings between too much and too little after the first steady window. */
  readonly swings: number
}

/** How a flow comes back to `perSecond` after `fromMs`, looked at until `toMs`. */
export function recovery(times: readonly number[], fromMs: number, toMs: number, perSecond: number): Recovery {
  const length = windowMs(perSecond)
  const starts: number[] = []
  for (let at = fromMs; at + length <= toMs; at += length / 8) starts.push(at)
  const relative = starts.map((start) => {
    const count = times.filter((at) => at >= start && at < start + length).length
    return (count / length) * (1000 / perSecond)
  })
  const level = relative.map((rate) => (rate > 1 + STEADY_BAND ? 1 : rate < 1 - STEADY_BAND ? -1 : 0))
  const last = level.findLastIndex((one) => one !== 0)
  const first = level.indexOf(0)
  return {
    afterMs: starts.length === 0 || last === starts.length - 1 ? null : starts[last + 1]! - fromMs,
    swings: first < 0 ? 0 : turnsOf(level.slice(first).filter((one) => one !== 0)),
  }
}

const turnsOf = (levels: readonly number[]): number =>
  levels.filter((level, index) => index > 0 && level !== levels[index - 1]).length
