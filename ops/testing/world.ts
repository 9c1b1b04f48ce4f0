/**
 * Real parts for one test file: topics of its own (by prefix) on a real broker and registry, a database of its own, an
 * embeddings server whose log can be read, and stages as processes of their own that can be killed.
 */
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import type { Admin } from 'kafkajs'
import { fetchBounds } from '../../connectors/kafka/bounds.ts'
import type { TopicName } from '../../schemas/topics.ts'
import type { StageName } from '../../streams/topology.ts'
import { readConfig } from '../config.ts'
import type { Config } from '../config.ts'
import { startEmbeddingsServer } from '../embedded/embeddings-server.ts'
import { startStack } from '../embedded/stack.ts'
import { withEndpoints } from '../endpoints.ts'
import { stageLag, totalLag } from '../lag/offsets.ts'
import { createLogger } from '../logger.ts'
import { createServices } from '../services.ts'
import type { Services } from '../services.ts'
import { TEST_DIMENSIONS, createTestDatabase } from './database.ts'
import { testEnvironment } from './environment.ts'
import { eventually } from './eventually.ts'
import { end, spawnStages } from './stage-process.ts'

export type World = Awaited<ReturnType<typeof createWorld>>

export async function createWorld({
  partitions = 3,
  allowHosts = [] as readonly string[],
  dimensions = TEST_DIMENSIONS,
} = {}) {
  const cleanups: (() => Promise<unknown>)[] = []
  const broker = await sharedBroker(cleanups)
  const database = await createTestDatabase({ dimensions })
  cleanups.push(database.close)
  const embeddings = await startEmbeddingsServer({ port: 0 })
  cleanups.push(embeddings.close)
  const prefix = `t${randomUUID().slice(0, 8)}.`
  const variables = {
    KAFKA_BROKERS: broker.brokers,
    SCHEMA_REGISTRY_URL: broker.registryUrl,
    DATABASE_URL: database.url,
    OPENAI_BASE_URL: embeddings.url,
    OPENAI_API_KEY: 'test',
    EMBEDDING_MODEL: 'test-model',
    EMBEDDING_DIMENSIONS: String(dimensions),
    SLUICE_TOPIC_PREFIX: prefix,
    SLUICE_PARTITIONS: String(partitions),
    LOG_LEVEL: testEnvironment.logLevel,
    ...(allowHosts.length > 0 && { CRAWL_ALLOW_HOSTS: allowHosts.join(',') }),
  }
  const config = withEndpoints(readConfig(variables), {})
  const services = createServices(config, createLogger(testEnvironment.logLevel))
  cleanups.push(services.close)
  await services.applyTopics()
  await services.codec.register()
  await services.producer.connect()
  const admin = services.kafka('test').admin()
  await admin.connect()
  cleanups.push(() => admin.disconnect())
  const children = new Set<ChildProcess>()
  cleanups.push(() => Promise.all([...children].map((child) => end(child, 'SIGKILL'))))

  return {
    /** What the checker works the expected rows out with. */
    chunkerConfig: { ...sizesOf(config), model: config.embeddings.model, dimensions },
    ...{ config, services, admin, database, embeddings, prefix, variables },
    db: database.db,
    /** One tenant on each partition, in the order of the partitions. */
    tenants: tenantPerPartition(partitions),
    produce: (topic: TopicName, values: readonly ({ tenant_id: string } & object)[]) =>
      produce(services, topic, values),
    produceRaw: services.producer.produce,
    /** Stages in a process of their own; resolves once it has joined its groups. */
    spawnStages: (names: readonly StageName[], extra: Record<string, string> = {}) =>
      spawnStages(names, { ...variables, ...extra }, children),
    drained: (stage: StageName, withinMs?: number) => drained(admin, stage, prefix, withinMs),
    deadLetters: (topic: TopicName) => readTopic(services, `${prefix}${topic}.dlq`),
    readTopic: (topic: string) => readTopic(services, prefix + topic),
    close: async () => {
      for (const cleanup of cleanups.reverse()) await cleanup()
    },
  }
}

const sizesOf = ({ chunker: { childTokens, parentTokens } }: Config) => ({ childTokens, parentTokens })

function tenantPerPartition(partitions: number): string[] {
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
    partitionId,
    leader: 0,
  })) as never
  const partitionOf = kafkajs.Partitioners.DefaultPartitioner()
  const tenants: string[] = []
  for (let index = 0; Object.keys(tenants).length < partitions; index += 1) {
    const key = `tenant-${index}`
    tenants[partitionOf({ topic: 't', partitionMetadata, message: { key, value: null } })] ??= key
  }
  return tenants
}

async function sharedBroker(cleanups: (() => Promise<unknown>)[]) {
  if (testEnvironment.brokers && testEnvironment.registryUrl)
    return { brokers: testEnvironment.brokers, registryUrl: testEnvironment.registryUrl }
  const config = readConfig()
  const dataDir = join(config.dataDir, `test-${process.pid}`)
  cleanups.push(() => rm(dataDir, { recursive: true, force: true }))
  const stack = await startStack({
    dataDir,
    libDir: config.libDir,
    parts: ['kafka', 'registry'],
    onProgress: () => {},
  })
  cleanups.push(stack.stop)
  return { brokers: stack.endpoints.brokers!.join(','), registryUrl: stack.endpoints.registryUrl! }
}

async function produce(
  { codec, producer, config }: Services,
  topic: TopicName,
  values: readonly ({ tenant_id: string } & object)[],
): Promise<void> {
  const encoded = await Promise.all(values.map((value) => codec.encode(topic, value)))
  await producer.produce(
    values.map(({ tenant_id }, index) => ({
      topic: config.topicPrefix + topic,
      key: tenant_id,
      value: encoded[index]!,
    })),
  )
}

/** All that was produced for the stage is settled and committed. */
async function drained(admin: Admin, stage: StageName, prefix: string, withinMs = 60_000): Promise<void> {
  await eventually(
    `lag of ${stage} is 0`,
    async () => totalLag(await stageLag(admin, stage, prefix)),
    (lag) => lag === 0n,
    withinMs,
  )
}

/** Every record of a topic from its beginning to its end as it is now. */
async function readTopic({ kafka }: Services, topic: string) {
  const admin = kafka('reader').admin()
  await admin.connect()
  const left = new Map((await fetchBounds(admin, topic)).map(({ partition, low, high }) => [partition, high - low]))
  await admin.disconnect()
  const wanted = [...left.values()].reduce((sum, count) => sum + count, 0n)
  const records: { partition: number; key: string; value: Buffer | null; headers: Record<string, string> }[] = []
  if (wanted === 0n) return records
  const consumer = kafka('reader').consumer({ groupId: `reader-${randomUUID()}` })
  const all = Promise.withResolvers<void>()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: ({ partition, message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)])
      records.push({
        partition,
        key: String(message.key),
        value: message.value,
        headers: Object.fromEntries(headers) as Record<string, string>,
      })
      if (BigInt(records.length) >= wanted) all.resolve()
      return Promise.resolve()
    },
  })
  await all.promise
  await consumer.disconnect()
  return records
}
