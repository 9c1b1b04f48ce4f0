/** Which of the fixed limits is the best one, and what the adaptive one is worth beside it. */
import type { Figures } from './load.ts'

export interface Tried extends Figures {
  readonly limit: number
}

/** Throughputs closer than this are equal: then the lower limit is better, for its latency. */
const EQUAL_WITHIN = 0.02
/** A limit that is refused more than this is no candidate: what it gains it takes from others. */
const MOST_REFUSED = 0.1

/** @throws RangeError when every limit is refused too much */
export function bestFixed(tried: readonly Tried[]): Tried {
  const candidates = tried.filter(({ refused }) => refused <= MOST_REFUSED)
  const most = Math.max(...candidates.map(({ throughput }) => throughput))
  const best = candidates
    .toSorted((a, b) => a.limit - b.limit)
    .find(({ throughput }) => throughput >= most * (1 - EQUAL_WITHIN))
  if (!best) throw new RangeError('no fixed limit was accepted')
  return best
}

export interface Worth {
  /** Of the best fixed limit's throughput. */
  readonly throughput: number
  /** Of its p99 latency. */
  readonly latency: number
}

export const worth = (adaptive: Figures, best: Figures): Worth => ({
  throughput: adaptive.throughput / best.throughput,
  latency: adaptive.p99Ms / best.p99Ms,
})
