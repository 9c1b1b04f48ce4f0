import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeAssignment, kafkaMessage, partition } from '../../ops/testing/runtime-fakes.ts'
import type { FakeMessage } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable, StageError } from '../errors.ts'
import type { Outcome, OutgoingRecord } from '../outcome.ts'
import type { OutgoingMessage, StoreWrite, WriteResult } from './ports.ts'
import { toRawRecord } from './record.ts'
import { createSettle } from './settle.ts'
import type { RawRecord } from './settle.ts'

const DELAYS_MS = [1_000, 10_000]
const applied: WriteResult = { change: 'applied', rows: 2, inserted: 2, deleted: 0, ignored: 0 }
const write: StoreWrite = {
  type: 'frontier',
  tenantId: 'acme',
  crawlId: 'c1',
  urls: [],
  maxPages: 1,
  maxDepth: 1,
  chunkType: 'website',
}
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const record = (name: string): OutgoingRecord => ({ topic: 'pages.processed', tenantId: 'acme', value: { name } })

function setup(options: { produceFails?: Error; hasStore?: boolean } = {}) {
  const clock = createFakeClock()
  const log: string[] = []
  const produced: OutgoingMessage[] = []
  const settle = createSettle({
    stage: 'processor',
    from: 'pages.crawled',
    prefix: 'test.',
    produce: async (messages) => {
      await clock.settle() // so that an effect which does not wait for this is seen to overtake it
      if (options.produceFails) throw options.produceFails
      log.push(`produce ${messages.map(({ topic }) => topic).join()}`)
      produced.push(...messages)
    },
    encode: async (topic, value) => Buffer.from(`${topic} ${JSON.stringify(value)}`),
    writer:
      options.hasStore === false
        ? null
        : {
            write: async (_assignment, offset) => {
              await clock.settle()
              log.push(`write ${offset}`)
              return applied
            },
            flush: async () => {},
          },
    retryDelaysMs: DELAYS_MS,
    clock,
    observer: { stored: (stage, _write, result) => void log.push(`observed ${stage} ${result.change}`) },
  })
  return { clock, log, produced, settle }
}
function raw(message: Partial<FakeMessage> = {}, topic = 'test.pages.crawled'): RawRecord {
  return toRawRecord(fakeAssignment({ at: partition(4, topic) }), kafkaMessage({ offset: 42, ...message }))
}
const failure = new StageError('bad_page', 'cannot be read', { retriable: true })

void t.test('emit produces the encoded records, keyed by tenant, with the trace that led to them', async (t) => {
  const { settle, produced, log } = setup()
  const what = await settle(
    { kind: 'emit', records: [record('a'), record('b')] },
    raw({ headers: { traceparent: Buffer.from(traceparent), other: 'x' } }),
  )
  t.equal(what, 'emit')
  t.strictSame(log, ['produce test.pages.processed,test.pages.processed'], 'one request')
  t.strictSame(produced[0], {
    topic: 'test.pages.processed',
    key: 'acme',
    value: Buffer.from('pages.processed {"name":"a"}'),
    headers: { traceparent },
  })
})

void t.test('nothing to emit asks nothing of Kafka', async (t) => {
  const { settle, log } = setup()
  t.equal(await settle({ kind: 'emit', records: [] }, raw()), 'emit')
  t.equal(await settle({ kind: 'done', reason: 'superseded' }, raw()), 'superseded')
  t.strictSame(log, [])
})

void t.test('done may tell others, and answers with its reason', async (t) => {
  const { settle, log } = setup()
  t.equal(await settle({ kind: 'done', reason: 'gone', records: [record('a')] }, raw()), 'gone')
  t.strictSame(log, ['produce test.pages.processed'])
})

void t.test('store announces only after the write is committed, with its result', async (t) => {
  const { settle, log, produced } = setup()
  const announce = (result: WriteResult) => [record(`${result.change} ${result.rows}`)]
  t.equal(await settle({ kind: 'store', write, announce }, raw()), 'applied')
  t.strictSame(log, ['write 42', 'observed processor applied', 'produce test.pages.processed'])
  t.match(String(produced[0]!.value), /applied 2/)
})

void t.test('a write without an announcement produces nothing', async (t) => {
  const { settle, log } = setup()
  await settle({ kind: 'store', write }, raw())
  t.strictSame(log, ['write 42', 'observed processor applied'])
})

void t.test('a stage without a ledger that wants to store is told so', async (t) => {
  const { settle } = setup({ hasStore: false })
  await t.rejects(settle({ kind: 'store', write }, raw()), { code: 'no_store' })
})

void t.test(
  'a failed record goes to the retry topic: original bytes, same partition, due after the delay',
  async (t) => {
    const { settle, produced, clock } = setup()
    t.equal(
      await settle({ kind: 'retry', error: failure }, raw({ value: 'bytes', headers: { mine: 'kept' } })),
      'retry',
    )
    const { headers, ...message } = produced[0]!
    t.strictSame(message, {
      topic: 'test.pages.crawled.retry',
      partition: 4,
      key: Buffer.from('acme'),
      value: Buffer.from('bytes'),
    })
    t.match(headers, {
      mine: 'kept',
      'sluice-attempt': '2',
      'sluice-due-ms': String(clock.now() + DELAYS_MS[0]!),
      'sluice-origin-topic': 'test.pages.crawled',
      'sluice-origin-partition': '4',
      'sluice-origin-offset': '42',
    })
  },
)

void t.test(
  'the attempts grow their delays, and after the last one the record is a dead letter, as it came',
  async (t) => {
    const { settle, produced, clock } = setup()
    const value = '\u0000not avro\uffff'
    let message: Partial<FakeMessage> = { value }
    let topic = 'test.pages.crawled'
    const answers: string[] = []
    const startMs = clock.now()
    for (let attempt = 1; attempt <= DELAYS_MS.length + 1; attempt += 1) {
      answers.push(await settle({ kind: 'retry', error: failure }, raw({ ...message, offset: 41 + attempt }, topic)))
      const { headers, topic: to } = produced.at(-1)!
      if (attempt <= DELAYS_MS.length) t.equal(headers!['sluice-due-ms'], String(startMs + DELAYS_MS[attempt - 1]!))
      message = { value, headers: headers! }
      topic = to
    }
    t.strictSame(answers, ['retry', 'retry', 'dead-letter'])
    const dead = produced.at(-1)!
    t.equal(dead.topic, 'test.pages.crawled.dlq')
    t.strictSame(dead.value, Buffer.from(value))
    t.match(dead.headers, {
      'sluice-attempt': '3',
      'sluice-error-code': 'bad_page',
      'sluice-error-message': 'cannot be read',
      'sluice-origin-topic': 'test.pages.crawled',
      'sluice-origin-offset': '42',
      'sluice-first-failure-ms': String(startMs),
    })
  },
)

void t.test('reject is a dead letter at once, with key and value as they came, also when they are null', async (t) => {
  const { settle, produced } = setup()
  t.equal(await settle({ kind: 'reject', error: failure }, raw({ key: null, value: null })), 'dead-letter')
  t.match(produced[0], { topic: 'test.pages.crawled.dlq', key: null, value: null, partition: 4 })
})

void t.test('a foreign producer cannot forge attempts: only our retry topic tells of a past', async (t) => {
  const { settle, produced } = setup()
  await settle(
    { kind: 'retry', error: failure },
    raw({ headers: { 'sluice-attempt': '99', 'sluice-origin-topic': 'x' } }),
  )
  t.match(produced[0], { topic: 'test.pages.crawled.retry', headers: { 'sluice-origin-topic': 'test.pages.crawled' } })
})

void t.test('whatever cannot be produced is not settled', async (t) => {
  const away = new DependencyUnavailable('kafka', 'no broker')
  const outcomes: Outcome[] = [
    { kind: 'emit', records: [record('a')] },
    { kind: 'done', reason: 'gone', records: [record('a')] },
    { kind: 'store', write, announce: () => [record('a')] },
    { kind: 'retry', error: failure },
    { kind: 'reject', error: failure },
  ]
  for (const outcome of outcomes)
    await t.rejects(setup({ produceFails: away }).settle(outcome, raw()), away, outcome.kind)
})
