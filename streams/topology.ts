/** The way of the data: from topic → stage → to topics. Read this first. */
import type { ConsumedTopic, TopicName } from '../schemas/topics.ts'

export interface Edge {
  readonly from: ConsumedTopic
  readonly to: readonly TopicName[]
  /** Consumer group. */
  readonly group: string
  /** Writes to Postgres, so its position is kept there too, in the same transaction (the ledger). */
  readonly ledger: boolean
}

export const topology = {
  // crawl request → frontier in Postgres → fetched pages
  crawler: { from: 'crawl.requests', to: ['pages.crawled'], group: 'sluice.crawler', ledger: true },
  // page → clean blocks
  processor: { from: 'pages.crawled', to: ['pages.processed'], group: 'sluice.processor', ledger: false },
  // blocks → embedded chunks in tenant_knowledge
  chunker: { from: 'pages.processed', to: ['knowledge.updated'], group: 'sluice.chunker', ledger: true },
} as const satisfies Record<string, Edge>

export type StageName = keyof typeof topology
export const stageNames = Object.keys(topology) as StageName[]
