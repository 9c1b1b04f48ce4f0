import kafkajs from 'kafkajs'
import type { ICustomPartitioner, Kafka, ProducerBatch } from 'kafkajs'
import t from 'tap'
import { deferred } from '../../ops/testing/runtime-fakes.ts'
import type { Deferred } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable, StageError } from '../../streams/errors.ts'
import type { OutgoingMessage } from '../../streams/runtime/ports.ts'
import { createProducer } from './producer.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const tooLarge = Object.assign(new Error('message too large'), { type: 'MESSAGE_TOO_LARGE' })
const message = (value: string, topic = 'a'): OutgoingMessage => ({ topic, key: 'acme', value: Buffer.from(value) })

interface Request {
  readonly batch: ProducerBatch
  readonly values: string[]
  readonly answer: Deferred<void>
}
/** A client whose requests are answered by the test, or at once by `decide`. */
function setup(decide?: (values: string[]) => void) {
  const requests: Request[] = []
  const options: unknown[] = []
  const kafka = {
    producer: (given: unknown) => {
      options.push(given)
      return {
        connect: async () => {},
        disconnect: async () => {},
        sendBatch: async (batch: ProducerBatch) => {
          const values = (batch.topicMessages ?? []).flatMap(({ messages }) =>
            messages.map(({ value }) => String(value)),
          )
          const request = { batch, values, answer: deferred() }
          requests.push(request)
          if (decide) decide(values)
          else await request.answer.promise
          return []
        },
      }
    },
  } as unknown as Kafka
  return { requests, options, producer: createProducer(kafka) }
}

/** A cluster that answers for some partitions only. */
function answering(partitions: number, answered: (partition: number) => boolean) {
  const kafka = {
    producer: ({ createPartitioner }: { createPartitioner: ICustomPartitioner }) => {
      const choose = createPartitioner()
      const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId, leader: 1 }))
      return {
        sendBatch: async ({ topicMessages = [] }: ProducerBatch) =>
          topicMessages.flatMap(({ topic, messages }) =>
            messages
              .map((message) => choose({ topic, partitionMetadata: partitionMetadata as never, message }))
              .filter(answered)
              .map((partition) => ({ topicName: topic, partition, errorCode: 0 })),
          ),
      }
    },
  } as unknown as Kafka
  return createProducer(kafka)
}

void t.test(
  'a partition that kafkajs leaves out, as its leader moved meanwhile, is a failure and no success',
  async (t) => {
    const to = (partition: number) => ({ ...message('x'), partition })
    const producer = answering(3, (partition) => partition !== 1)
    await producer.produce([to(0), to(2)])
    await t.rejects(producer.produce([to(0), to(1)]), { name: 'DependencyUnavailable', message: /no answer for a\/1/ })
    await producer.produce([to(2)])
  },
)

void t.test('a partition that the topic does not have is told, not dropped', async (t) => {
  const producer = answering(3, () => true)
  const beyond = { ...message('x'), partition: 3 }
  await t.rejects(producer.produce([beyond]), { name: 'DependencyUnavailable', message: /a has no partition 3/ })
})

void t.test('a lone record is sent at once; what comes meanwhile goes with the next request, in order', async (t) => {
  const { producer, requests } = setup()
  const all = ['1', '2', '3'].map((value) => producer.produce([message(value)]))
  t.strictSame(
    requests.map(({ values }) => values),
    [['1']],
  )
  await turn()
  t.equal(requests.length, 1, 'one request at a time keeps the order')
  requests[0]!.answer.resolve()
  await turn()
  t.strictSame(requests[1]!.values, ['2', '3'])
  requests[1]!.answer.resolve()
  await Promise.all(all)
})

void t.test('nobody is told before the brokers have acknowledged', async (t) => {
  const { producer, requests } = setup()
  let told = false
  const sent = producer.produce([message('1')]).then(() => (told = true))
  await turn()
  t.notOk(told)
  requests[0]!.answer.resolve()
  await sent
  t.ok(told)
})

void t.test('every replica must acknowledge, topics are not made by chance, and the batch is compressed', async (t) => {
  const { producer, requests, options } = setup(() => {})
  await producer.produce([message('1'), message('2', 'b'), { ...message('3'), partition: 7, headers: { x: 'y' } }])
  t.match(options[0], { allowAutoTopicCreation: false })
  t.match(requests[0]!.batch, {
    acks: -1,
    compression: kafkajs.CompressionTypes.ZSTD,
    topicMessages: [
      { topic: 'a', messages: [{ key: 'acme' }, { key: 'acme', partition: 7, headers: { x: 'y' } }] },
      { topic: 'b', messages: [{ key: 'acme' }] },
    ],
  })
})

void t.test('a request stays near 1 MB; a larger record goes alone', async (t) => {
  const { producer, requests } = setup(() => {})
  const sizes = [1, 400_000, 400_000, 400_000, 3_000_000, 10, 20]
  await Promise.all(sizes.map((size) => producer.produce([message('x'.repeat(size))])))
  const sent = requests.map(({ values }) => values.map(({ length }) => length))
  t.strictSame(sent.flat(), sizes, 'all of them, in order')
  for (const one of sent) t.ok(one.length === 1 || one.reduce((a, b) => a + b) <= 1024 * 1024, String(one))
  t.ok(sent.length < sizes.length)
})

void t.test('a record that the broker finds too large fails alone, its neighbours are sent', async (t) => {
  const { producer, requests } = setup((values) => {
    if (values.includes('huge')) throw tooLarge
  })
  const all = await Promise.allSettled(['1', '2', 'huge', '3'].map((value) => producer.produce([message(value)])))
  t.strictSame(
    all.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  )
  const error = (all[2] as PromiseRejectedResult).reason as StageError
  t.type(error, StageError)
  t.match(error, { code: 'record_too_large', retriable: false })
  t.strictSame(requests.at(-1)!.values, ['3'])
})

void t.test(
  'when no broker answers, everybody in the request learns it once, and the next request is tried',
  async (t) => {
    let fails = true
    const { producer, requests } = setup(() => {
      if (fails) throw new Error('connect ECONNREFUSED')
    })
    const first = producer.produce([message('1')])
    const more = [producer.produce([message('2')]), producer.produce([message('3')])]
    for (const sent of [first, ...more]) await t.rejects(sent, DependencyUnavailable)
    t.equal(requests.length, 2, 'no record is tried alone: that would be a request each, all in vain')
    fails = false
    await producer.produce([message('4')])
    t.strictSame(requests.at(-1)!.values, ['4'])
  },
)
