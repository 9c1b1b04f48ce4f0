/** How many a second lately, from events as they come: for the time until a backlog is drained. */
import type { Clock } from '../streams/runtime/ports.ts'

const BUCKET_MS = 5_000
const BUCKETS = 12

export interface RateMeter {
  readonly add: (count: number) => void
  /** Over the last minute, or since the start where that is shorter; 0: nothing yet. */
  readonly perSecond: () => number
}

export function createRateMeter({ now }: Pick<Clock, 'now'>): RateMeter {
  const buckets = new Map<number, number>()
  const firstMs = now()
  const bucketOf = (ms: number) => Math.floor(ms / BUCKET_MS)
  return {
    add: (count) => {
      const bucket = bucketOf(now())
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + count)
      for (const old of buckets.keys()) if (old <= bucket - BUCKETS) buckets.delete(old)
    },
    perSecond: () => {
      const current = bucketOf(now())
      let sum = 0
      for (const [bucket, count] of buckets) if (bucket > current - BUCKETS) sum += count
      const spanMs = Math.min(now() - firstMs, (BUCKETS - 1) * BUCKET_MS + (now() % BUCKET_MS))
      return spanMs <= 0 ? 0 : (sum * 1000) / Math.max(spanMs, 1_000)
    },
  }
}
