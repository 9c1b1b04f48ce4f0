/**
 * A producer that coalesces: while one request is under way, what is sent meanwhile gathers for the next, so that
 * concurrent handlers cost few round trips and a lone record waits for nobody.
 */
import kafkajs from 'kafkajs'
import type { Kafka, Message, Producer } from 'kafkajs'
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
  const producer = kafka.producer({
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    allowAutoTopicCreation: false,
  })
  const queue: Waiting[] = []
  let sending = false

  async function pump() {
    if (sending) return
    sending = true
    while (queue.length > 0) await sendBatch(producer, takeBatch(queue))
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

async function sendBatch(producer: Producer, batch: Waiting[]): Promise<void> {
  try {
    await send(
      producer,
      batch.flatMap(({ messages }) => messages),
    )
    for (const { resolve } of batch) resolve()
  } catch (error) {
    // One refused record must not fail its neighbours: alone, each gets its own answer.
    if (batch.length > 1 && isTooLarge(error)) for (const one of batch) await sendBatch(producer, [one])
    else for (const { reject } of batch) reject(classify(error))
  }
}

async function send(producer: Producer, messages: readonly OutgoingMessage[]): Promise<void> {
  const byTopic = new Map<string, Message[]>()
  for (const { topic, ...message } of messages) {
    const list = byTopic.get(topic) ?? []
    list.push(message)
    byTopic.set(topic, list)
  }
  await producer.sendBatch({
    acks: -1,
    compression: kafkajs.CompressionTypes.ZSTD,
    topicMessages: [...byTopic].map(([topic, list]) => ({ topic, messages: list })),
  })
}

const isTooLarge = (error: unknown) =>
  ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'].includes(String((error as { type?: unknown }).type))

function classify(error: unknown): Error {
  if (isTooLarge(error))
    return new StageError('record_too_large', 'the broker refused the record for its size', { cause: error })
  return new DependencyUnavailable('kafka', `could not produce: ${errorMessage(error)}`, { cause: error })
}
