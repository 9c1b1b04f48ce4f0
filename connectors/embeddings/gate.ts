/** The last thing before a request: whoever limits rate, tokens or requests in flight does it here, nothing waits below. */
export interface RequestCost {
  readonly inputs: number
  readonly tokens: number
}

export interface RequestFeedback {
  readonly kind: 'ok' | 'throttled' | 'unavailable' | 'rejected' | 'unsent'
  readonly latencyMs: number
  /** The server's own word on when to come back. */
  readonly retryAfterMs?: number
  readonly headers?: Headers
}

export interface RequestGate {
  /** Resolves when the request may leave; its release must be called once. Rejects when none may (open circuit). */
  readonly acquire: (cost: RequestCost) => Promise<(feedback: RequestFeedback) => void>
}

/** At most `limit` requests at any instant, first come first served. */
export function createInFlightGate(limit: number): RequestGate {
  const waiting: (() => void)[] = []
  let running = 0
  const release = () => {
    const next = waiting.shift()
    // The place passes on: `running` stays, so that no third party slips in between.
    if (next) next()
    else running -= 1
  }
  return {
    acquire: async () => {
      if (running < limit) running += 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      return release
    },
  }
}
