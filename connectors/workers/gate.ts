/** Lets `places` callers in at once; the others wait in the order they came. */
export interface Gate {
  /** Resolves to the function that gives the place back. @throws the signal's reason if it aborts while waiting. */
  enter(signal: AbortSignal): Promise<() => void>
}

export function createGate(places: number): Gate {
  let free = places
  const waiting = new Set<() => void>()
  const leave = () => {
    free++
    const [next] = waiting
    next?.()
  }
  const take = () => {
    free--
    let left = false
    return () => {
      if (left) return
      left = true
      leave()
    }
  }
  return {
    enter: (signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        if (free > 0) return resolve(take())
        const enter = () => {
          waiting.delete(enter)
          signal.removeEventListener('abort', abort)
          resolve(take())
        }
        const abort = () => {
          waiting.delete(enter)
          reject(signal.reason)
        }
        waiting.add(enter)
        signal.addEventListener('abort', abort, { once: true })
      }),
  }
}
