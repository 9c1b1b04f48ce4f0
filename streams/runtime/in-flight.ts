/** A plain limit on how many run at once, first come first served. Rates and fairness attach here, through `acquire`. */
export interface InFlightLimit {
  /** Resolves to the release once a place is free. */
  readonly acquire: () => Promise<() => void>
  readonly inFlight: () => number
}

export function createInFlightLimit(limit: number): InFlightLimit {
  const waiting: (() => void)[] = []
  let running = 0

  function release() {
    const next = waiting.shift()
    if (next)
      next() // the place passes on: `running` stays, so no third party can slip in between
    else running -= 1
  }
  function once() {
    let released = false
    return () => {
      if (released) return
      released = true
      release()
    }
  }
  return {
    acquire: async () => {
      if (running < limit) running += 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      return once()
    },
    inFlight: () => running,
  }
}
