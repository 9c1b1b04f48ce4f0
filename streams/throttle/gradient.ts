/**
 * Requests at once to Postgres, found from latency: it never refuses for load, it only gets slower. What times out or
 * finds no server halves the limit. `max`: connections of the pool.
 */
import { createSearch } from './gradient-search.ts'
import type { SearchOptions } from './gradient-search.ts'
import type { AdaptiveLimit } from './ports.ts'

const cuts = { timeout: 0.5, unavailable: 0.5, throttled: 0.7 }

export const createGradient = (options: SearchOptions): AdaptiveLimit => createSearch({ ...options, cuts })
