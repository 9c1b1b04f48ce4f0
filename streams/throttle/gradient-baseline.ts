/**
 * How much slower answers come than they would from an idle dependency, per class of request. The baseline is a mean of
 * what left while little was in flight, not the least ever seen: with service times that vary by half, the least of a
 * thousand lies so far below the mean that an idle dependency looks busy.
 *
 * Means are taken of logarithms: latencies have long tails, and one answer of ten seconds must not hide a hundred.
 */

/** Answers that a baseline remembers; older ones fade. */
const MEMORY = 128
/** Memory that is left to the old when it is measured anew: the new outweighs it twofold. */
const OLD_MEMORY = 32
/** Fewer than this do not make a baseline. */
const ENOUGH = 4

export interface Baseline {
  /** An answer to a request that left while little was in flight. */
  readonly learn: (latencyMs: number, requestClass: string) => void
  /** ln(latency / baseline); undefined as long as this class has no baseline. */
  readonly slowness: (latencyMs: number, requestClass: string) => number | undefined
  /** What is learned next counts more than what is known; if that is doubted, nearly alone. */
  readonly renew: (doubted: boolean) => void
}

export function createBaseline(): Baseline {
  const classes = new Map<string, { mean: number; count: number }>()

  return {
    learn: (latencyMs, requestClass) => {
      const known = classes.get(requestClass) ?? { mean: 0, count: 0 }
      known.count = Math.min(known.count + 1, MEMORY)
      known.mean += (logOf(latencyMs) - known.mean) / known.count
      classes.set(requestClass, known)
    },
    slowness: (latencyMs, requestClass) => {
      const known = classes.get(requestClass)
      return known && known.count >= ENOUGH ? logOf(latencyMs) - known.mean : undefined
    },
    renew: (doubted) => {
      for (const known of classes.values()) known.count = Math.min(known.count, doubted ? ENOUGH : OLD_MEMORY)
    },
  }
}

/** Below a tenth of a millisecond only the clock is measured. */
const logOf = (latencyMs: number) => Math.log(Math.max(latencyMs, 0.1))
