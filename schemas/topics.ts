/** Every topic of the pipeline, declared once: name, schema, partitions, retention. Names are public. */

const DAY_MS = 24 * 60 * 60 * 1000
/** Largest page body accepted, bytes. */
export const MAX_PAGE_BYTES = 5 * 1024 * 1024
/** Largest record on a topic, bytes: a page of MAX_PAGE_BYTES that does not compress, and its envelope. */
const MAX_RECORD_BYTES = 8 * 1024 * 1024
/** Dead letters carry the original record plus headers, so they get 1 MB more than any source topic. */
const MAX_DEAD_LETTER_BYTES = MAX_RECORD_BYTES + 1024 * 1024

export interface TopicSpec {
  /** File under schemas/ that holds the value's Avro schema. */
  readonly schema: string
  readonly partitions: number
  readonly retentionMs: number
  readonly compacted?: true
  /** Consumed by a stage: has `<topic>.retry` and `<topic>.dlq`. */
  readonly consumed?: true
}

export const topics = {
  'crawl.requests': { schema: 'crawl-request.avsc', partitions: 12, retentionMs: 7 * DAY_MS, consumed: true },
  'pages.crawled': { schema: 'page-crawled.avsc', partitions: 12, retentionMs: 30 * DAY_MS, consumed: true },
  // What a replay reads. Never compacted: the key is the tenant, compaction would keep one page of each.
  'pages.processed': { schema: 'page-processed.avsc', partitions: 12, retentionMs: 30 * DAY_MS, consumed: true },
  'knowledge.updated': { schema: 'knowledge-updated.avsc', partitions: 12, retentionMs: 7 * DAY_MS },
  'pipeline.control': { schema: 'pipeline-control.avsc', partitions: 1, retentionMs: 30 * DAY_MS, compacted: true },
} as const satisfies Record<string, TopicSpec>

export type TopicName = keyof typeof topics
export type ConsumedTopic = {
  [T in TopicName]: (typeof topics)[T] extends { consumed: true } ? T : never
}[TopicName]

export const topicNames = Object.keys(topics) as TopicName[]
export const consumedTopics = topicNames.filter((name) => (topics[name] as TopicSpec).consumed) as ConsumedTopic[]
export const retryTopic = (topic: ConsumedTopic) => `${topic}.retry` as const
export const deadLetterTopic = (topic: ConsumedTopic) => `${topic}.dlq` as const

/** A topic as it stands in the broker: the declared ones with their retry and dead-letter companions. */
export interface PhysicalTopic {
  readonly name: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

/** All topics to create, in the order of declaration. `prefix` keeps several environments apart on one cluster. */
export function physicalTopics(prefix: string, partitions?: number): PhysicalTopic[] {
  return topicNames.flatMap((name) => {
    const spec: TopicSpec = topics[name]
    const count = spec.partitions === 1 ? 1 : (partitions ?? spec.partitions)
    const base = physical(prefix + name, count, spec.retentionMs, MAX_RECORD_BYTES, spec.compacted ?? false)
    if (!spec.consumed) return [base]
    return [
      base,
      physical(`${prefix}${name}.retry`, count, 30 * DAY_MS, MAX_DEAD_LETTER_BYTES),
      physical(`${prefix}${name}.dlq`, count, 30 * DAY_MS, MAX_DEAD_LETTER_BYTES),
    ]
  })
}

function physical(name: string, partitions: number, retentionMs: number, maxBytes: number, compacted = false) {
  return {
    name,
    partitions,
    config: {
      'cleanup.policy': compacted ? 'compact' : 'delete',
      ...(compacted ? {} : { 'retention.ms': String(retentionMs) }),
      'max.message.bytes': String(maxBytes),
      // The broker recompresses what a foreign producer sent as snappy or lz4: an unknown codec would kill our consumers.
      'compression.type': 'zstd',
    },
  }
}
