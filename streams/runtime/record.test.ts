import type { KafkaMessage } from 'kafkajs'
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeAssignment, kafkaMessage, partition } from '../../ops/testing/runtime-fakes.ts'
import type { FakeMessage } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable, Fenced, StageError } from '../errors.ts'
import type { InputRecord, Outcome } from '../outcome.ts'
import { detach, failed, handleRecord, readRecord, toRawRecord } from './record.ts'
import type { ReadRecord } from './record.ts'

interface Value {
  readonly tenant_id: string
}
const done: Outcome = { kind: 'done', reason: 'ok' }
const decode = async (value: Buffer) => JSON.parse(value.toString()) as Value
const raw = (message: Partial<FakeMessage> = {}, topic = 'pages.crawled') =>
  toRawRecord(
    fakeAssignment({ at: partition(3, topic) }),
    kafkaMessage({ offset: 42, value: '{"tenant_id":"acme"}', ...message }),
  )
const input: ReadRecord<Value> = {
  value: { tenant_id: 'acme' },
  tenantId: 'acme',
  timestampMs: 1,
  id: 'x',
  attempt: 1,
}

void t.test('a record names its tenant, its attempt and where it came from', async (t) => {
  t.match(await readRecord(raw(), decode), { tenantId: 'acme', attempt: 1, id: 'pages.crawled/3/42' })
})

void t.test('its identity is that of its first delivery, also when it comes back by the retry topic', async (t) => {
  const headers = {
    'sluice-origin-topic': 'pages.crawled',
    'sluice-origin-partition': '3',
    'sluice-origin-offset': '42',
    'sluice-attempt': '3',
  }
  const back = await readRecord(raw({ offset: 7, headers }, 'pages.crawled.retry'), decode)
  t.match(back, { id: 'pages.crawled/3/42', attempt: 3 })
  t.match(await readRecord(raw({ offset: 7, headers }), decode), { id: 'pages.crawled/3/7', attempt: 1 }, 'forged')
})

void t.test('a key that is not the tenant is refused: it would cross tenants', async (t) => {
  for (const message of [{ key: 'other' }, { key: null }, { key: '', value: '{"tenant_id":""}' }, { key: 'acme ' }])
    await t.rejects(readRecord(raw(message), decode), { code: 'tenant_mismatch', retriable: false })
})

void t.test('a record without a value is refused', async (t) => {
  await t.rejects(readRecord(raw({ value: null }), decode), { code: 'empty_value', retriable: false })
})

void t.test('what cannot be decoded is the codec’s to judge, and the bytes stay with the record', async (t) => {
  const undecodable = new StageError('undecodable', 'unknown schema id')
  const record = raw({ value: 'garbage' })
  await t.rejects(
    readRecord(record, () => Promise.reject(undecodable)),
    undecodable,
  )
  t.match(failed(undecodable), { kind: 'reject' })
  t.equal(String(record.value), 'garbage')
})

void t.test('a handler’s answer is the outcome', async (t) => {
  const clock = createFakeClock()
  const stage = { orderKey: () => '', handle: async () => done }
  t.equal(await handleRecord(stage, {}, input, { clock, timeoutMs: 1_000 }), done)
  t.equal(clock.pending(), 0, 'no deadline is left behind')
})

void t.test('a handler that does not answer in time is told to stop, and its record is retried', async (t) => {
  const clock = createFakeClock()
  let seen: AbortSignal | undefined
  const stage = {
    orderKey: () => '',
    handle: (record: InputRecord<Value>) => {
      seen = record.signal
      return new Promise<Outcome>(() => {})
    },
  }
  const answer = handleRecord(stage, {}, input, { clock, timeoutMs: 1_000 })
  await clock.advance(999)
  t.notOk(seen!.aborted)
  await clock.advance(1)
  t.match(await answer, { kind: 'retry', error: { code: 'record_timeout' } })
  t.ok(seen!.aborted)
})

void t.test('what a late handler throws is heard by nobody, and harms nobody', async (t) => {
  const clock = createFakeClock()
  const late = Promise.withResolvers<Outcome>()
  const answer = handleRecord({ orderKey: () => '', handle: () => late.promise }, {}, input, { clock, timeoutMs: 10 })
  await clock.advance(10)
  t.match(await answer, { kind: 'retry' })
  late.reject(new Error('too late'))
  await clock.settle() // an unhandled rejection would end the test process here
})

void t.test('the table of failures: retriable, final, unexpected; an outage is no fault of the record', async (t) => {
  t.match(failed(new StageError('a', 'm', { retriable: true })), { kind: 'retry', error: { code: 'a' } })
  t.match(failed(new StageError('b', 'm')), { kind: 'reject', error: { code: 'b' } })
  t.match(failed(new TypeError('x is not a function')), { kind: 'retry', error: { code: 'unexpected' } })
  t.match(failed('a string'), { kind: 'retry', error: { code: 'unexpected', message: 'a string' } })
  for (const error of [new DependencyUnavailable('embeddings', 'away'), new Fenced('lost')])
    t.throws(() => failed(error), error)
})

void t.test('a handler that throws, at once or later, is judged by that table', async (t) => {
  const timing = { clock: createFakeClock(), timeoutMs: 1_000 }
  const throwing = (error: Error) => ({
    orderKey: () => '',
    handle: (): Promise<Outcome> => {
      throw error
    },
  })
  t.match(await handleRecord(throwing(new TypeError('no')), {}, input, timing), { kind: 'retry' })
  const away = new DependencyUnavailable('embeddings', 'away')
  await t.rejects(handleRecord(throwing(away), {}, input, timing), away)
  const later = { orderKey: () => '', handle: () => Promise.reject(new StageError('bad', 'm')) }
  t.match(await handleRecord(later, {}, input, timing), { kind: 'reject' })
  t.equal(timing.clock.pending(), 0)
})

void t.test('a record that waits holds its own bytes, not those of the batch that it came in', async (t) => {
  const batch = Buffer.alloc(100_000, 'x')
  const message = {
    ...kafkaMessage({ offset: 0 }),
    key: batch.subarray(0, 4),
    value: batch.subarray(10, 9_000),
    headers: { trace: batch.subarray(0, 9), many: [batch.subarray(0, 2), 'text'] },
  } as KafkaMessage
  const record = toRawRecord(fakeAssignment(), message)
  const before = JSON.stringify([record.key, record.value, record.headers])
  detach(record)
  t.equal(JSON.stringify([record.key, record.value, record.headers]), before)
  const held = [
    record.key,
    record.value,
    record.headers!['trace'],
    (record.headers!['many'] as Buffer[])[0],
  ] as Buffer[]
  t.strictSame(
    held.map(({ buffer }) => buffer === batch.buffer),
    [false, false, false, false],
  )
})
