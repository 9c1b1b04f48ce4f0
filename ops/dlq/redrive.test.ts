/** A redrive by itself: its rate, what a failed produce leaves behind, and being interrupted. */
import t from 'tap'
import { createDeadLetterActions } from '../../connectors/postgres/dead-letter-actions.ts'
import { DependencyUnavailable, StageError } from '../../streams/errors.ts'
import type { Clock, OutgoingMessage } from '../../streams/runtime/ports.ts'
import { createTestDatabase } from '../testing/database.ts'
import { readLetter } from './letter.ts'
import { CLAIM_MS, createRedrive } from './redrive.ts'
import type { Found } from './walk.ts'

const database = await createTestDatabase()
t.teardown(database.close)
const actions = createDeadLetterActions(database.db)
const topic = 'pages.crawled.dlq'

const found = (offset: number): Found => {
  const headers = { 'sluice-error-code': 'odd' }
  const record = { partition: 0, offset: BigInt(offset), timestampMs: 7, key: null, value: Buffer.from('x'), headers }
  return { record, letter: readLetter(topic, record), action: undefined }
}
const letters = (from: number, count: number) => Array.from({ length: count }, (_, index) => found(from + index))

/** Nobody waits: asked to call later, it is later. */
function hastyClock() {
  let nowMs = 0
  const pass = (ms: number) => (nowMs += ms)
  const after = (ms: number, call: () => void) => {
    pass(ms)
    setImmediate(call)
    return () => {}
  }
  return { now: () => nowMs, after, pass }
}

function setUp(produce: (messages: readonly OutgoingMessage[]) => Promise<void>, clock: Clock = hastyClock()) {
  const aborted = new AbortController()
  const d = { to: 'pages.crawled', topic, actions, produce, clock, claimMs: CLAIM_MS }
  return { aborted, redrive: createRedrive(d, { actor: 'ada', ratePerSecond: 10, signal: aborted.signal }) }
}

t.test('records go at the rate, the first at once, and time lost on a slow broker is not made up for', async (t) => {
  const times: number[] = []
  const clock = hastyClock()
  const { redrive } = setUp(() => {
    times.push(clock.now())
    if (times.length === 2) clock.pass(1_000)
    return Promise.resolve()
  }, clock)
  t.equal(await redrive.take(letters(0, 4)), true)
  t.strictSame(times, [0, 100, 1_100, 1_200])
  t.match(redrive.report(), { redriven: 4, byCode: { odd: 4 } })
})

t.test('a broker that is away ends it, and leaves the letter open for the next run', async (t) => {
  const { redrive } = setUp(() => Promise.reject(new DependencyUnavailable('kafka', 'away')))
  await t.rejects(redrive.take(letters(10, 2)), { message: 'away' })
  t.equal((await actions.find(topic, [found(10).letter])).size, 0)
  const next = setUp(() => Promise.resolve())
  await next.redrive.take(letters(10, 2))
  t.equal(next.redrive.report().redriven, 2)
})

t.test('a record that the broker refuses is refused alone', async (t) => {
  let refuse = true
  const { redrive } = setUp(() => {
    if (!refuse) return Promise.resolve()
    refuse = false
    return Promise.reject(new StageError('record_too_large', 'too large'))
  })
  await redrive.take(letters(20, 2))
  t.match(redrive.report(), { redriven: 1, refused: 1, refusals: [{ at: '0:20', reason: 'too large' }] })
})

t.test('interrupted while it waits for its turn, it ends before the next record', async (t) => {
  const waiting = { now: () => 0, after: () => (setImmediate(() => aborted.abort()), () => {}) }
  const { aborted, redrive } = setUp(() => Promise.resolve(), waiting)
  t.equal(await redrive.take(letters(30, 3)), false)
  t.equal(redrive.report().redriven, 1)
})
