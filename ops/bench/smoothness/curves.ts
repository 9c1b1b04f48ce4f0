/** From logs to curves: what is drawn, without how. */
import { edgesOf } from './analysis.ts'
import type { Span, Weighted } from './analysis.ts'

/** A point of a curve: epoch milliseconds, and a value in the axis' unit. */
export type Point = readonly [atMs: number, value: number]

/** Arrivals are counted in windows of this length around each point. */
const SMOOTH_MS = 2_000
const POINTS = 320

/** Weight a second, in windows centred on evenly spaced points; arrivals in the order of time. */
export function rateCurve(arrivals: readonly Weighted[], fromMs: number, toMs: number, points = POINTS): Point[] {
  const sums = [0]
  for (const { weight } of arrivals) sums.push(sums.at(-1)! + weight)
  const before = (atMs: number) => sums[countBefore(arrivals, atMs)]!
  return Array.from({ length: points + 1 }, (_, index) => {
    const at = fromMs + ((toMs - fromMs) * index) / points
    // At the ends the windows are cut short, not filled up with nothing.
    const begins = Math.max(fromMs, at - SMOOTH_MS / 2)
    const ends = Math.min(toMs, at + SMOOTH_MS / 2)
    return [at, ((before(ends) - before(begins)) / (ends - begins)) * 1000]
  })
}

function countBefore(arrivals: readonly Weighted[], atMs: number): number {
  let low = 0
  let high = arrivals.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (arrivals[middle]!.atMs < atMs) low = middle + 1
    else high = middle
  }
  return low
}

/** The most in flight within each of `points` slices: a short peak is not averaged away. */
export function loadCurve(spans: readonly Span[], fromMs: number, toMs: number, points = POINTS): Point[] {
  const edges = edgesOf(spans)
  let now = 0
  let next = 0
  return Array.from({ length: points }, (_, index) => {
    const ends = fromMs + ((toMs - fromMs) * (index + 1)) / points
    let most = now
    for (; next < edges.length && edges[next]!.atMs < ends; next += 1) {
      now += edges[next]!.step
      most = Math.max(most, now)
    }
    return [ends, most]
  })
}

export const highest = (...curves: readonly (readonly Point[])[]): number =>
  Math.max(0, ...curves.flatMap((curve) => curve.map(([, value]) => value)))

/** From 0 to at least `most` in steps of 1, 2 or 5 times a power of ten; about `wanted` steps. */
export function ticks(most: number, wanted = 4): number[] {
  const raw = Math.max(most, 1e-9) / wanted
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw * (1 - 1e-9))!
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => +(index * step).toPrecision(12))
}
