/** How the offline server behaves under load: a rate that is enforced, a capacity with a knee, latencies that spread. */

export interface RateRule {
  readonly requestsPerMinute?: number
  readonly tokensPerMinute?: number
  /** How far ahead of an even flow requests may run; a second unless told, 0 takes no two at once. */
  readonly burstMs?: number
}

export interface CapacityRule {
  /** Served at once; others wait in line, so that latency rises from here on and throughput does not. */
  readonly servers: number
  readonly serviceMs: number
}

/** Epoch milliseconds with a fraction; monotonic within a process, equal over the processes of one machine. */
export const preciseNow = (): number => performance.timeOrigin + performance.now()

interface Bucket {
  readonly unit: 'requests' | 'tokens'
  readonly perMinute: number
  readonly msPerUnit: number
  /** When everything that was taken has been earned back. */
  emptyAtMs: number
}

/**
 * GCRA in its debt form: a request passes while at most `burstMs` are still to be earned back, whatever its own size, so
 * that no request is too large for ever. One that is refused takes nothing.
 */
export function createRate(rule: RateRule, now: () => number = preciseNow) {
  const { burstMs = 1000 } = rule
  const buckets = [bucketOf('requests', rule.requestsPerMinute), bucketOf('tokens', rule.tokensPerMinute)].flat()
  const debtOf = ({ emptyAtMs }: Bucket) => Math.max(0, emptyAtMs - now())

  return {
    /** 0: it passes and is charged; else the milliseconds after which it would have. */
    take: (tokens: number): number => {
      const waitMs = Math.max(0, ...buckets.map((bucket) => debtOf(bucket) - burstMs))
      if (waitMs > 0) return waitMs
      for (const bucket of buckets)
        bucket.emptyAtMs = now() + debtOf(bucket) + bucket.msPerUnit * (bucket.unit === 'tokens' ? tokens : 1)
      return 0
    },
    /** OpenAI's: what one may take per minute, what is left of the burst now, how long until all of it is back. */
    headers: (): Record<string, string> =>
      Object.fromEntries(
        buckets.flatMap((bucket) => {
          const left = (burstMs - debtOf(bucket)) / bucket.msPerUnit
          return [
            [`x-ratelimit-limit-${bucket.unit}`, String(bucket.perMinute)],
            // One request more than the burst holds: the next passes while any of it is left.
            [
              `x-ratelimit-remaining-${bucket.unit}`,
              String(Math.max(0, Math.floor(left) + (bucket.unit === 'requests' ? 1 : 0))),
            ],
            [`x-ratelimit-reset-${bucket.unit}`, durationOf(debtOf(bucket))],
          ]
        }),
      ),
  }
}

function bucketOf(unit: Bucket['unit'], perMinute: number | undefined): Bucket[] {
  return perMinute === undefined ? [] : [{ unit, perMinute, msPerUnit: 60_000 / perMinute, emptyAtMs: 0 }]
}

/** As OpenAI writes it: `20ms`, `1.5s`, `6m0s`. */
export function durationOf(ms: number): string {
  const whole = Math.ceil(ms)
  if (whole < 1000) return `${whole}ms`
  return whole < 60_000 ? `${whole / 1000}s` : `${Math.floor(whole / 60_000)}m${(whole % 60_000) / 1000}s`
}

/** First come, first served, by `servers` at a time. */
export function createCapacity({ servers, serviceMs }: CapacityRule, serve: (ms: number) => Promise<void> = sleep) {
  const waiting: (() => void)[] = []
  let busy = 0
  return async (): Promise<void> => {
    if (busy < servers) busy += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    await serve(serviceMs)
    const next = waiting.shift()
    if (next) next()
    else busy -= 1
  }
}

/** Uniform between two bounds and the same in every run. */
export function createLatency(rule: number | readonly [number, number] = 0): () => number {
  if (typeof rule === 'number') return () => rule
  const [from, to] = rule
  let seed = 1
  return () => {
    // Park and Miller's generator: even enough for latencies.
    seed = (seed * 48_271) % 2_147_483_647
    return from + ((to - from) * seed) / 2_147_483_647
  }
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
