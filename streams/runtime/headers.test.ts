import fc from 'fast-check'
import { createRequire } from 'node:module'
import t from 'tap'
import { StageError } from '../errors.ts'
import { readTravelled, writeTravelled } from './headers.ts'
import type { Headers, Origin } from './headers.ts'

const here = { topic: 'pages.crawled', partition: 3, offset: '42' }
const error = new StageError('bad_page', 'x'.repeat(50_000))
/** kafkajs' own encoder: throws where the broker's client would. */
const encodeRecord = createRequire(import.meta.url)('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: {
  key: Buffer | null
  value: Buffer | null
  headers: Headers
}) => { buffer: Buffer }
const size = (headers: Headers) => encodeRecord({ key: null, value: null, headers }).buffer.length

/** A record sent at 500. */
const read = (headers: Headers | undefined, origin: Origin) => readTravelled(headers, origin, 500)

void t.test('a record without a past is at its first attempt, due at once, and is its own origin', async (t) => {
  for (const headers of [undefined, {}, { traceparent: Buffer.from('00-1-2-01') }])
    t.strictSame(read(headers, here), {
      origin: here,
      attempt: 1,
      dueMs: 0,
      firstFailureMs: undefined,
      timestampMs: 500,
    })
})

void t.test('what is written is what is read: attempt, due time, origin and first failure', async (t) => {
  const first = writeTravelled(undefined, read(undefined, here), {
    error,
    nowMs: 1_000,
    attempt: 2,
    dueMs: 2_000,
  })
  const past = read(first, { topic: 'pages.crawled.retry', partition: 3, offset: '7' })
  t.strictSame(past, { origin: here, attempt: 2, dueMs: 2_000, firstFailureMs: 1_000, timestampMs: 500 })
  const second = writeTravelled(first, past, { error, nowMs: 9_000, attempt: 3, dueMs: 10_000 })
  t.strictSame(read(second, { ...here, offset: '8' }), {
    origin: here,
    attempt: 3,
    dueMs: 10_000,
    firstFailureMs: 1_000,
    timestampMs: 500,
  })
})

void t.test(
  'a retry keeps the time at which the record was first sent: a page without a version takes its own from it',
  async (t) => {
    const retried = writeTravelled(undefined, readTravelled(undefined, here, 500), { error, nowMs: 9_000, attempt: 2 })
    t.equal(readTravelled(retried, { ...here, topic: 'pages.crawled.retry' }, 60_000).timestampMs, 500)
  },
)

void t.test('a dead letter carries no due time of the retry before it', async (t) => {
  const retried = writeTravelled(undefined, read(undefined, here), { error, nowMs: 1, attempt: 2, dueMs: 2 })
  const dead = writeTravelled(retried, read(retried, here), { error, nowMs: 3, attempt: 2 })
  t.equal(read(dead, here).dueMs, 0)
  t.equal(dead['sluice-error-code'], 'bad_page')
})

void t.test('twenty redrives keep the headers at their size and the first origin', async (t) => {
  let headers: Headers = { 'content-id': 'a1' }
  const sizes: number[] = []
  for (let round = 0; round < 20; round += 1) {
    const past = read(headers, { ...here, offset: String(42 + round) })
    headers = writeTravelled(headers, past, { error, nowMs: 1_000 + round, attempt: 2, dueMs: 5_000 + round })
    sizes.push(size(headers))
    t.strictSame(past.origin, here)
  }
  t.strictSame(new Set(sizes).size, 1)
  t.ok(sizes[0]! < 2_048, `${sizes[0]} bytes with an error message of 50,000`)
})

void t.test('headers of others stay as they were, whatever they are, and can be sent again', async (t) => {
  const value = fc.oneof(
    fc.string(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(fc.string(), { minLength: 1, maxLength: 3 }),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 8 }), value, { noNullPrototype: true }), (foreign) => {
      const written = writeTravelled(foreign, read(foreign, here), { error, nowMs: 1, attempt: 1 })
      size(written)
      return Object.entries(foreign).every(([name, was]) => written[name] === was || Array.isArray(was))
    }),
  )
  // Legal in Kafka, read by kafkajs as null, and a TypeError when written: one such record would stop a partition for good.
  const nulls = { trace: null, list: ['a', null] } as unknown as Headers
  t.throws(() => size({ trace: null } as unknown as Headers), TypeError)
  const written = writeTravelled(nulls, read(nulls, here), { error, nowMs: 1, attempt: 1 })
  t.doesNotThrow(() => size(written))
  t.strictSame([written['trace'], written['list']], ['', ['a', '']])
})

void t.test('a message is cut between characters', async (t) => {
  for (const shift of ['', 'a', 'ab', 'abc']) {
    const long = new StageError('c', shift + '😀'.repeat(1_000))
    const message = String(
      writeTravelled(undefined, read(undefined, here), { error: long, nowMs: 1, attempt: 1 })['sluice-error-message'],
    )
    t.ok(Buffer.byteLength(message) <= 1_024)
    t.notMatch(message, /\uFFFD/)
  }
})
