/**
 * kafkajs 2.2.4 schedules its next check of pending requests at `throttledUntil - now`, which is negative on an idle
 * connection: a 1 ms loop of 5,000 checks/s (3.8% of a core), and a TimeoutNegativeWarning on Node ≥ 24. With nothing
 * pending and no throttle there is nothing to check: new requests and responses schedule by themselves.
 */
import { createRequire } from 'node:module'

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
}

let patched = false

export function quietIdleTimers() {
  if (patched) return
  patched = true
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as {
    prototype: { scheduleCheckPendingRequests: (this: RequestQueue) => void }
  }
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length === 0 && this.throttledUntil <= Date.now()) return
    schedule.call(this)
  }
}
