/** The API that every arm meets: what it allows, how long it takes, and what ours is told of it. */
import type { Faults } from '../../embedded/embeddings-server.ts'

export const statedApi = {
  requestsPerMinute: 300,
  tokensPerMinute: 300_000,
  latencyMs: [50, 400],
  /** How far ahead of an even flow requests may run before they are refused. */
  burstMs: 1_000,
} as const

/** What ours is allowed at once, over all instances, by EMBEDDING_MAX_IN_FLIGHT and DATABASE_MAX_IN_FLIGHT. */
export const inFlightLimits = { embeddings: 4, postgres: 4 } as const

export const perSecond = {
  requests: statedApi.requestsPerMinute / 60,
  tokens: statedApi.tokensPerMinute / 60,
}

export const DIMENSIONS = 64
export const MODEL = 'bench'
export const PARTITIONS = 12
export const PAGES_PER_CRAWL = 200

/** The receiver's rules: always the same but for an outage. */
export const apiRules = (refuse?: Faults['refuse']): Faults => {
  const { requestsPerMinute, tokensPerMinute, burstMs, latencyMs } = statedApi
  return { latencyMs, rate: { requestsPerMinute, tokensPerMinute, burstMs }, ...(refuse && { refuse }) }
}
