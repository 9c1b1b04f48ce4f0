/** Connections to the outside, made once and closed together; the one place where settings become clients. */
import type { Kafka } from 'kafkajs'
import type { Knex } from 'knex'
import { createEmbeddings } from '../connectors/embeddings/embeddings.ts'
import type { Embeddings } from '../connectors/embeddings/embeddings.ts'
import { createRequest } from '../connectors/embeddings/request.ts'
import type { SendRequest } from '../connectors/embeddings/request.ts'
import { createKafka } from '../connectors/kafka/client.ts'
import { createProducer } from '../connectors/kafka/producer.ts'
import type { CoalescingProducer } from '../connectors/kafka/producer.ts'
import { applyTopics } from '../connectors/kafka/topics.ts'
import type { TopicReport } from '../connectors/kafka/topics.ts'
import { createPostgres } from '../connectors/postgres/client.ts'
import { createGatedStore, createPassage } from '../connectors/postgres/gated.ts'
import { createStore } from '../connectors/postgres/store.ts'
import type { KnowledgeStore } from '../connectors/postgres/store.ts'
import { createCodec } from '../schemas/codec.ts'
import type { Codec } from '../schemas/codec.ts'
import { physicalTopics } from '../schemas/topics.ts'
import type { Logger } from '../streams/runtime/ports.ts'
import type { Connected } from './endpoints.ts'
import { createProbes, timedPassage } from './probes.ts'
import type { Probes } from './probes.ts'
import { createThrottle } from './throttle.ts'
import type { Throttle } from './throttle.ts'
import { tracedEmbeddings, tracedPassage, tracedSend, tracedStore } from './tracing/around.ts'
import { noTracing } from './tracing/tracing.ts'
import type { Tracing } from './tracing/tracing.ts'

export interface Services {
  readonly config: Connected
  readonly logger: Logger
  readonly kafka: (member: string) => Kafka
  readonly producer: CoalescingProducer
  readonly codec: Codec
  readonly db: Knex
  /** Behind the gate of the database, as everything of the pipeline. */
  readonly store: KnowledgeStore
  /** Through that gate: for what else the pipeline asks of Postgres. */
  readonly passage: ReturnType<typeof createPassage>
  readonly throttle: Throttle
  readonly embeddings: Embeddings
  /** What this process has asked of the embeddings API. */
  readonly embeddingUsage: EmbeddingUsage
  /** What is asked of Postgres and the embeddings API, for metrics. */
  readonly probes: Probes
  readonly tracing: Tracing
  readonly applyTopics: (apply?: boolean) => Promise<TopicReport[]>
  readonly close: () => Promise<void>
}

export interface EmbeddingUsage {
  requests: number
  inputs: number
  tokens: number
}

const counted =
  (send: SendRequest, usage: EmbeddingUsage): SendRequest =>
  async (texts, signal, traces) => {
    usage.requests += 1
    usage.inputs += texts.length
    const reply = await send(texts, signal, traces)
    usage.tokens += reply.tokens ?? 0
    return reply
  }

/** Nothing connects yet, but the producer when first used: a command that needs no Kafka never waits for one. */
export function createServices(config: Connected, logger: Logger, tracing = noTracing): Services {
  const kafka = (member: string) => createKafka(config.kafka, `sluice-${member}`, logger)
  const producer = createProducer(kafka('producer'))
  const db = createPostgres(config.postgres, config.embeddings.dimensions)
  const embeddingUsage = { requests: 0, inputs: 0, tokens: 0 }
  const codec = createCodec({ ...config.registry, prefix: config.topicPrefix })
  const throttle = createThrottle({
    ...{ config, logger, kafka, codec, produce: producer.produce },
    leaseDb: createPostgres({ ...config.postgres, poolMax: 2 }, config.embeddings.dimensions),
  })
  const probes = createProbes()
  const gated = createPassage({ gate: throttle.gates.database, breaker: throttle.breakers.postgres, now: Date.now })
  const passage = tracedPassage(timedPassage(gated, probes), tracing)
  const embeddings = createEmbeddings(
    { ...config.embeddings, maxInFlight: config.embeddings.adaptiveMaxInFlight },
    {
      send: tracedSend(counted(createRequest(config.embeddings), embeddingUsage), tracing, config.embeddings.model),
      currentTrace: () => tracing.carry(),
      onRequest: probes.embeddingRequest,
      onUsage: probes.tokensBought,
      ...throttle.embeddings,
    },
  )
  return {
    config,
    logger,
    kafka,
    producer,
    codec,
    db,
    store: createGatedStore(tracedStore(createStore(db), tracing), passage),
    passage,
    throttle,
    embeddings: tracedEmbeddings(embeddings, tracing),
    probes,
    tracing,
    embeddingUsage,
    applyTopics: async (apply = true) => {
      const admin = kafka('admin').admin()
      try {
        await admin.connect()
        return await applyTopics(admin, physicalTopics(config.topicPrefix, config.partitions), apply)
      } finally {
        await admin.disconnect()
      }
    },
    close: async () => {
      await embeddings.close()
      await throttle.close()
      await Promise.allSettled([producer.disconnect(), db.destroy()])
      await tracing.stop()
    },
  }
}
