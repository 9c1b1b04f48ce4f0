/**
 * What an answer means for the requests after it: hold back for a moment and send the same batch again, or tell the
 * circuit breaker and let the pages go, so that their partitions pause. The one place that retries.
 */
import type { Clock } from '../../streams/runtime/ports.ts'
import type { Gate } from '../../streams/throttle/ports.ts'
import type { Unavailable } from './failures.ts'
import type { Batch } from './queue.ts'
import { holdBefore, readAllowances } from './rate-headers.ts'
import type { Allowances } from './rate-headers.ts'

export interface Breaker {
  /** `trip`: open now, more of the same would not help. */
  readonly failed: (failure: {
    readonly message: string
    readonly retryAfterMs?: number
    readonly trip?: boolean
    /** When the request left: one from before an outage is not taken for its probe. */
    readonly sentMs?: number
  }) => void
  readonly succeeded: (request?: { readonly sentMs?: number }) => void
}

/** Totals that the provider names, for a fleet that has none set. */
export interface LearnedLimits {
  readonly requestsPerMinute?: number
  readonly tokensPerMinute?: number
}

interface Deps {
  readonly gate: Gate
  readonly clock: Clock
  readonly random: () => number
  readonly breaker: Breaker | undefined
  readonly onLimits: (limits: LearnedLimits) => void
  /** Tokens of the request that would go next. */
  readonly nextTokens: () => number
  /** A budget of ours spaces the requests: the provider's own count would hold a flow back that is right already. */
  readonly isPaced: () => boolean
}

/** With full jitter the four waits add up to 1.9 s on average; then the partitions pause. */
const MAX_RESENDS = 4
/** A wait up to this is awaited in place; a longer one pauses partitions. */
const MAX_WAIT_IN_PLACE_MS = 1000
const FIRST_BACKOFF_MS = 250
const MAX_BACKOFF_MS = 8000
/** Shorter holds are over when the next request leaves; each hold makes the gate start slowly. */
const MIN_HOLD_MS = 50

export function createPacing({ gate, clock, random, breaker, onLimits, nextTokens, isPaced }: Deps) {
  let throttlings = 0
  let throttledAtMs = -Infinity
  let learned = ''

  /** Full jitter. What had left before the last refusal came is refused for the same overload, not for another. */
  function backoff(sentMs: number): number {
    if (sentMs > throttledAtMs) {
      throttlings += 1
      throttledAtMs = clock.now()
    }
    return Math.ceil(random() * Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (throttlings - 1)))
  }

  function learn({ requests, tokens }: Allowances) {
    const limits = {
      ...(requests.limit !== undefined && { requestsPerMinute: requests.limit }),
      ...(tokens.limit !== undefined && { tokensPerMinute: tokens.limit }),
    }
    if (JSON.stringify(limits) === learned || Object.keys(limits).length === 0) return
    learned = JSON.stringify(limits)
    onLimits(limits)
  }

  return {
    succeeded: (headers: Headers, sentMs: number) => {
      throttlings = 0
      breaker?.succeeded({ sentMs })
      const allowances = readAllowances(headers)
      learn(allowances)
      const holdMs = holdBefore(nextTokens(), allowances)
      if (holdMs >= MIN_HOLD_MS && !isPaced()) gate.cooldown(holdMs)
    },
    /** @returns whether the batch is to be sent again, once the gate lets it. */
    failed: (failure: Unavailable, { resends, wasCut = false }: Batch, sentMs: number): boolean => {
      const { cause, error, fatal } = failure
      // Zero is no word on when to come back.
      const retryAfterMs = error.retryAfterMs === 0 ? undefined : error.retryAfterMs
      const waitsInPlace =
        !fatal &&
        (retryAfterMs === undefined ? cause === 'throttled' : retryAfterMs <= MAX_WAIT_IN_PLACE_MS) &&
        resends < MAX_RESENDS
      if (waitsInPlace) {
        gate.cooldown(retryAfterMs ?? backoff(sentMs))
        return true
      }
      // A pooled connection that the server closed as the request left: it says nothing about the server's health.
      if (cause === 'cut' && !wasCut) return true
      const trip = fatal || (retryAfterMs ?? 0) > MAX_WAIT_IN_PLACE_MS
      breaker?.failed({ message: error.message, trip, sentMs, ...(retryAfterMs !== undefined && { retryAfterMs }) })
      return false
    },
    /** Not even a harmless text is taken. */
    refused: (message: string) => breaker?.failed({ message, trip: true }),
  }
}

export type Pacing = ReturnType<typeof createPacing>
