/**
 * When the record at an offset was written. Read without a consumer group: a group of its own would be joined and left for
 * every look (3 s with a broker's defaults) and stand in everybody's list of groups.
 *
 * kafkajs offers no such read, but its client has what it takes; the package is pinned, and record-times.test.ts reads
 * through it.
 */
import type { Kafka } from 'kafkajs'
import { readTravelled } from '../../streams/runtime/headers.ts'
import type { Headers } from '../../streams/runtime/headers.ts'
import { partitionKey } from '../../streams/runtime/ports.ts'
import type { TopicPartition } from '../../streams/runtime/ports.ts'

export interface RecordTimes {
  /**
   * Milliseconds since the epoch of the first record at or after the offset; of a retry, of its first delivery. null: the
   * log holds none there. @throws kafkajs' errors
   */
  readonly at: (at: TopicPartition, offset: bigint) => Promise<number | null>
  readonly close: () => Promise<void>
}

interface Message {
  readonly offset: string
  readonly timestamp: string
  readonly headers?: Headers
  readonly isControlRecord?: boolean
}
interface Broker {
  readonly fetch: (request: object) => Promise<{
    readonly responses: readonly { readonly partitions: readonly { readonly messages: readonly Message[] }[] }[]
  }>
}
interface Cluster {
  readonly connect: () => Promise<void>
  readonly disconnect: () => Promise<void>
  readonly addMultipleTargetTopics: (topics: readonly string[]) => Promise<void>
  readonly refreshMetadata: () => Promise<void>
  readonly findLeaderForPartitions: (topic: string, partitions: readonly number[]) => Record<string, number[]>
  readonly findBroker: (node: { readonly nodeId: string }) => Promise<Broker>
}

/** A fetch answers with one whole batch, however small this is. */
const ONE_BATCH = 1
const MAX_WAIT_MS = 100
/** A log may begin with batches of control records alone. */
const MAX_BATCHES = 4

export function createRecordTimes(kafka: Kafka): RecordTimes {
  const known = new Map<string, { readonly offset: bigint; readonly ms: number | null }>()
  let connecting: Promise<Cluster> | undefined
  let last: Promise<unknown> = Promise.resolve()

  async function connect(): Promise<Cluster> {
    const cluster = clusterOf(kafka)
    await cluster.connect()
    return cluster
  }
  async function fetch(
    cluster: Cluster,
    { topic, partition }: TopicPartition,
    offset: bigint,
  ): Promise<readonly Message[]> {
    await cluster.addMultipleTargetTopics([topic])
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]))
    if (nodeId === undefined) return []
    const broker = await cluster.findBroker({ nodeId })
    const wanted = { partition, fetchOffset: String(offset), maxBytes: ONE_BATCH }
    const { responses } = await broker.fetch({
      ...{ replicaId: -1, isolationLevel: 0, maxWaitTime: MAX_WAIT_MS, minBytes: 1, maxBytes: ONE_BATCH },
      topics: [{ topic, partitions: [wanted] }],
    })
    return responses[0]?.partitions[0]?.messages ?? []
  }
  async function read(cluster: Cluster, at: TopicPartition, from: bigint): Promise<number | null> {
    let offset = from
    for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
      const messages = await fetch(cluster, at, offset)
      const record = messages.find((one) => BigInt(one.offset) >= offset && !one.isControlRecord)
      if (record) return timeOf(at, record)
      const last = messages.at(-1)
      if (!last) return null
      offset = BigInt(last.offset) + 1n
    }
    return null
  }
  /** Two first requests at a time would open two connections, of which kafkajs loses one: it would never be closed. */
  function oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }
  async function forget(connection: Promise<Cluster> | undefined) {
    if (connection === connecting) connecting = undefined
    await connection?.then((cluster) => cluster.disconnect()).catch(() => {})
  }

  return {
    at: async (at, offset) => {
      const key = partitionKey(at)
      const before = known.get(key)
      if (before?.offset === offset && before.ms !== null) return before.ms
      const connection = (connecting ??= connect())
      try {
        const ms = await oneByOne(async () => read(await connection, at, offset))
        known.set(key, { offset, ms })
        return ms
      } catch (error) {
        // The leader may have moved, or the connection ended: the next look starts anew.
        await forget(connection)
        throw error
      }
    },
    close: () => forget(connecting),
  }
}

const timeOf = ({ topic, partition }: TopicPartition, { offset, timestamp, headers }: Message): number =>
  readTravelled(topic.endsWith('.retry') ? headers : undefined, { topic, partition, offset }, Number(timestamp))
    .timestampMs

/** A connection of its own, with all of the client's settings: TLS, SASL, timeouts. */
function clusterOf(kafka: Kafka): Cluster {
  const maker = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === CREATE_CLUSTER)
  const create = maker && (kafka as unknown as Record<symbol, (options: object) => Cluster>)[maker]
  if (!create) throw new Error('this version of kafkajs makes its connections in another way')
  return create({ metadataMaxAge: 300_000, allowAutoTopicCreation: false })
}
const CREATE_CLUSTER = 'private:Kafka:createCluster'
