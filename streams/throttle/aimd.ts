/**
 * Requests at once to the embeddings API. One more per round trip, × 0.7 when it answers 429, 5xx or not at all, at most
 * once per round trip; latency is the brake where a server queues instead of refusing.
 */
import { createSearch } from './gradient-search.ts'
import type { SearchOptions } from './gradient-search.ts'
import type { AdaptiveLimit } from './ports.ts'

const cuts = { throttled: 0.7, timeout: 0.7, unavailable: 0.7 }

export const createAimd = (options: SearchOptions): AdaptiveLimit => createSearch({ ...options, cuts })
