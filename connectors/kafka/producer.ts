/**
 * A producer that coalesces: while one request is under way, what is sent meanwhile gathers for the next, so that
 * concurrent handlers cost few round trips and a lone record waits for nobody.
 */
import kafkajs from 'kafkajs'
import type { ICustomPartitioner, Kafka, Message, Producer } from 'kafkajs'
import { DependencyUnavailable, StageError, errorMessage } from '../../streams/errors.ts'
import type { OutgoingMessage, Produce } from '../../streams/runtime/ports.ts'

/** One record batch per partition and request; it must stay below the topics' max.message.bytes (8 MB) as a whole. */
const MAX_REQUEST_BYTES = 1024 * 1024

interface Waiting {
  readonly messages: readonly OutgoingMessage[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export interface CoalescingProducer {
  readonly connect: () => Promise<void>
  readonly disconnect: () => Promise<void>
  /** Resolves once all in-sync replicas have the records. @throws DependencyUnavailable, StageError record_too_large */
  readonly produce: Produce
}

export function createProducer(kafka: Kafka): CoalescingProducer {
  // acks=-1 without idempotence: kafkajs' idempotent producer runs into OUT_OF_ORDER under concurrent sends, and every
  // effect downstream is idempotent anyway.
  const chosen = new Set<string>()
  const producer = kafka.producer({ createPartitioner: noting(chosen), allowAutoTopicCreation: false })
  const queue: Waiting[] = []
  let sending = false

  async function pump() {
    if (sending) return
    sending = true
    while (queue.length > 0) await sendBatch({ producer, chosen }, takeBatch(queue))
    sending = false
  }
  return {
    connect: () => producer.connect(),
    disconnect: () => producer.disconnect(),
    produce: (messages) =>
      new Promise((resolve, reject) => {
        queue.push({
          messages,
          bytes: messages.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
          resolve,
          reject,
        })
        void pump()
      }),
  }
}

function takeBatch(queue: Waiting[]): Waiting[] {
  let bytes = 0
  let count = 0
  while (count < queue.length && (count === 0 || bytes + queue[count]!.bytes <= MAX_REQUEST_BYTES)) {
    bytes += queue[count]!.bytes
    count += 1
  }
  return queue.splice(0, count)
}

interface Sender {
  readonly producer: Producer
  /** `topic/partition` of each record of the request under way; there is one at a time. */
  readonly chosen: Set<string>
}

/**
 * Java's default partitioner. A partition that the cached metadata does not know has no leader in it, and kafkajs would
 * leave its records out without a word; this error makes it ask for the metadata and try again.
 */
function noting(chosen: Set<string>): ICustomPartitioner {
  return () => {
    const choose = kafkajs.Partitioners.DefaultPartitioner()
    return (given) => {
      const partition = choose(given)
      if (!given.partitionMetadata.some(({ partitionId }) => partitionId === partition))
        throw Object.assign(new kafkajs.KafkaJSError(`${given.topic} has no partition ${partition}`), {
          name: 'KafkaJSMetadataNotLoaded',
        })
      chosen.add(`${given.topic}/${partition}`)
      return partition
    }
  }
}

async function sendBatch(sender: Sender, batch: Waiting[]): Promise<void> {
  try {
    await send(
      sender,
      batch.flatMap(({ messages }) => messages),
    )
    for (const { resolve } of batch) resolve()
  } catch (error) {
    // One refused record must not fail its neighbours: alone, each gets its own answer.
    if (batch.length > 1 && isTooLarge(error)) for (const one of batch) await sendBatch(sender, [one])
    else for (const { reject } of batch) reject(classify(error))
  }
}

async function send({ producer, chosen }: Sender, messages: readonly OutgoingMessage[]): Promise<void> {
  const byTopic = new Map<string, Message[]>()
  for (const { topic, ...message } of messages) {
    const list = byTopic.get(topic) ?? []
    list.push(message)
    byTopic.set(topic, list)
  }
  chosen.clear()
  const answers = await producer.sendBatch({
    acks: -1,
    compression: kafkajs.CompressionTypes.ZSTD,
    topicMessages: [...byTopic].map(([topic, list]) => ({ topic, messages: list })),
  })
  // A partition whose leader moves in the middle, to a broker that has answered already, is left out by kafkajs' next try,
  // and the call resolves all the same.
  for (const { topicName, partition } of answers) chosen.delete(`${topicName}/${partition}`)
  if (chosen.size > 0) throw new Error(`no answer for ${[...chosen].join(', ')}`)
}

const isTooLarge = (error: unknown) =>
  ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'].includes(String((error as { type?: unknown }).type))

function classify(error: unknown): Error {
  if (isTooLarge(error))
    return new StageError('record_too_large', 'the broker refused the record for its size', { cause: error })
  return new DependencyUnavailable('kafka', `could not produce: ${errorMessage(error)}`, { cause: error })
}
