import fc from 'fast-check'
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeConsumer, partition } from '../../ops/testing/runtime-fakes.ts'
import { createPauseScheduler } from './pause-scheduler.ts'
import type { PauseReason } from './pause-scheduler.ts'

const GAP_MS = 50
function setup(consumer = fakeConsumer()) {
  const clock = createFakeClock()
  const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: GAP_MS, random: () => 0.5 })
  return { clock, consumer, scheduler }
}
const [p0, p1, p2] = [partition(0), partition(1), partition(2)]

void t.test(
  'reasons commute: in whatever order they come and go, a partition is paused while one is left',
  async (t) => {
    const reasons: PauseReason[] = ['rate', 'tenant', 'dependency', 'operator']
    const step = fc.record({ add: fc.boolean(), reason: fc.constantFrom(...reasons), at: fc.constantFrom(p0, p1) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { clock, consumer, scheduler } = setup()
        const model = new Map([p0, p1].map((at) => [at, new Set<PauseReason>()]))
        for (const { add, reason, at } of steps) {
          if (add) scheduler.pause(at, reason)
          else scheduler.lift(at, reason)
          if (add) model.get(at)!.add(reason)
          else model.get(at)!.delete(reason)
          if (model.get(at)!.size > 0 && !consumer.paused.has(`pages.crawled/${at.partition}`)) return false
        }
        await clock.advance(GAP_MS * 60)
        for (const [at, left] of model) {
          if (scheduler.isPaused(at) !== left.size > 0) return false
          if (consumer.paused.has(`pages.crawled/${at.partition}`) !== left.size > 0) return false
          if (scheduler.reasons(at).length !== left.size) return false
        }
        return true
      }),
      { numRuns: 60 },
    )
    t.pass()
  },
)

void t.test('partitions resume one at a time, a gap apart', async (t) => {
  const { clock, consumer, scheduler } = setup()
  for (const at of [p0, p1, p2]) scheduler.pause(at, 'rate')
  consumer.calls.length = 0
  for (const at of [p0, p1, p2]) scheduler.lift(at, 'rate')
  t.strictSame(consumer.calls, ['resume pages.crawled/0'])
  t.ok(scheduler.isPaused(p1), 'still gated until its turn')
  await clock.advance(GAP_MS - 1)
  t.equal(consumer.calls.length, 1)
  await clock.advance(1)
  t.strictSame(consumer.calls, ['resume pages.crawled/0', 'resume pages.crawled/1'])
  await clock.advance(GAP_MS)
  t.equal(consumer.calls.length, 3)
})

void t.test('a partition paused again while it waits for its turn stays paused', async (t) => {
  const { clock, consumer, scheduler } = setup()
  for (const at of [p0, p1]) scheduler.pause(at, 'rate')
  for (const at of [p0, p1]) scheduler.lift(at, 'rate')
  scheduler.pause(p1, 'operator')
  await clock.advance(GAP_MS * 10)
  t.ok(consumer.paused.has('pages.crawled/1'))
  scheduler.lift(p1, 'operator')
  await clock.advance(GAP_MS)
  t.notOk(consumer.paused.has('pages.crawled/1'))
})

void t.test('a timed reason ends by itself, at its time', async (t) => {
  const { clock, scheduler } = setup()
  scheduler.pause(p0, 'retry-due', 1_000)
  await clock.advance(999)
  t.ok(scheduler.isPaused(p0))
  await clock.advance(1)
  t.notOk(scheduler.isPaused(p0))
  t.equal(clock.pending(), 1, 'only the gap before the next resume')
})

void t.test('a timed pause does not shorten one of the same reason that has no end', async (t) => {
  const { clock, scheduler } = setup()
  scheduler.pause(p0, 'dependency')
  scheduler.pause(p0, 'dependency', 100)
  await clock.advance(1_000)
  t.ok(scheduler.isPaused(p0))
  scheduler.pause(p1, 'dependency', 100)
  scheduler.pause(p1, 'dependency')
  await clock.advance(1_000)
  t.ok(scheduler.isPaused(p1), 'and one without end replaces a timed one')
})

void t.test(
  'a new assignment starts paused for its reason alone; what was before is forgotten, timers too',
  async (t) => {
    const { clock, consumer, scheduler } = setup()
    scheduler.pause(p0, 'retry-due', 1_000)
    scheduler.pause(p1, 'tenant')
    consumer.calls.length = 0
    scheduler.reconcile([p0, p2], 'offset-guard')
    t.ok(consumer.calls.includes('resume pages.crawled/1'), 'lost: else it would come back paused in kafkajs, silently')
    t.strictSame([...consumer.paused], ['pages.crawled/0', 'pages.crawled/2'])
    t.strictSame(
      scheduler.reasons(p0).map(({ reason }) => reason),
      ['offset-guard'],
    )
    t.strictSame(scheduler.reasons(p1), [])
    t.equal(clock.pending(), 0)
    scheduler.lift(p0, 'offset-guard')
    t.notOk(scheduler.isPaused(p0))
  },
)

void t.test(
  'while kafkajs has no group to pause, the scheduler keeps its books and the timer does not throw',
  async (t) => {
    const consumer = fakeConsumer()
    const { clock, scheduler } = setup(consumer)
    for (const at of [p0, p1]) scheduler.pause(at, 'rate')
    for (const at of [p0, p1]) scheduler.lift(at, 'rate')
    const gone = () => {
      throw new Error('Consumer group was not initialized')
    }
    Object.assign(consumer, { pause: gone, resume: gone })
    await clock.advance(GAP_MS)
    t.notOk(scheduler.isPaused(p1))
    t.doesNotThrow(() => scheduler.pause(p0, 'dependency'))
    t.ok(scheduler.isPaused(p0))
  },
)

void t.test('close leaves no timer behind', async (t) => {
  const { clock, scheduler } = setup()
  scheduler.pause(p0, 'retry-due', 1_000)
  scheduler.pause(p1, 'rate')
  scheduler.lift(p1, 'rate')
  scheduler.close()
  t.equal(clock.pending(), 0)
})

void t.test('between two resumes lies a gap with jitter: instances do not march in step', async (t) => {
  const gaps = []
  for (const random of [0, 0.25, 0.75]) {
    const clock = createFakeClock()
    const consumer = fakeConsumer()
    const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: 100, random: () => random })
    for (const index of [0, 1]) scheduler.pause(partition(index), 'operator')
    for (const index of [0, 1]) scheduler.lift(partition(index), 'operator')
    let waitedMs = 0
    for (; consumer.paused.size > 0; waitedMs += 1) await clock.advance(1)
    gaps.push(waitedMs)
  }
  t.strictSame(gaps, [50, 75, 125])
})

void t.test('reasons commute: whatever the order, a partition works and fetches exactly when it may', async (t) => {
  const reasons = ['rate', 'tenant', 'dependency', 'retry-due', 'operator', 'offset-guard'] as const
  const blocking: readonly string[] = ['dependency', 'operator', 'offset-guard']
  const steps = fc.array(fc.record({ reason: fc.constantFrom(...reasons), on: fc.boolean() }), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const clock = createFakeClock()
      const consumer = fakeConsumer()
      const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: 10 })
      const held = new Set<string>()
      for (const { reason, on } of all) {
        if (on) scheduler.pause(partition(), reason)
        else scheduler.lift(partition(), reason)
        if (on) held.add(reason)
        else held.delete(reason)
        if (scheduler.isBlocked(partition()) < blocking.some((one) => held.has(one)))
          throw new Error('works while held')
        if (consumer.paused.size === 0 && held.size > 0) throw new Error('fetches while held')
      }
      await clock.advance(1_000)
      if (scheduler.isBlocked(partition()) !== blocking.some((one) => held.has(one))) throw new Error('stays blocked')
      if (consumer.paused.size > 0 !== held.size > 0) throw new Error('stays paused')
    }),
  )
  t.pass()
})

void t.test('work goes on one partition at a time too, also where fetching stays paused', async (t) => {
  const clock = createFakeClock()
  const consumer = fakeConsumer()
  const resumed: number[] = []
  const scheduler = createPauseScheduler({
    ...{ consumer, clock, resumeGapMs: 10, random: () => 0.5 },
    onResume: (at) => void resumed.push(at.partition),
  })
  for (const index of [0, 1]) {
    scheduler.pause(partition(index), 'operator')
    scheduler.pause(partition(index), 'rate')
  }
  for (const index of [0, 1]) scheduler.lift(partition(index), 'operator')
  t.strictSame([resumed, consumer.paused.size], [[0], 2])
  t.ok(scheduler.isBlocked(partition(1)))
  await clock.advance(10)
  t.strictSame([resumed, consumer.paused.size], [[0, 1], 2])
})

void t.test('the time that partitions were paused is summed by reason, those that still are included', async (t) => {
  const clock = createFakeClock()
  const scheduler = createPauseScheduler({ consumer: fakeConsumer(), clock, resumeGapMs: 10 })
  scheduler.pause(partition(0), 'rate')
  scheduler.pause(partition(1), 'rate')
  await clock.advance(1_000)
  scheduler.lift(partition(0), 'rate')
  await clock.advance(500)
  t.match(scheduler.pausedMs(), { rate: 2_500, operator: 0 })
})

void t.test('what a resumed partition’s work lifts waits for its turn', async (t) => {
  const [clock, consumer] = [createFakeClock(), fakeConsumer()]
  const scheduler = createPauseScheduler({
    ...{ consumer, clock, resumeGapMs: GAP_MS, random: () => 0.5 },
    onResume: () => scheduler.lift(p1, 'rate'),
  })
  for (const at of [p0, p1]) scheduler.pause(at, 'rate')
  scheduler.lift(p0, 'rate')
  t.strictSame(consumer.paused, new Set(['pages.crawled/1']))
  await clock.advance(GAP_MS)
  t.equal(consumer.paused.size, 0)
  await clock.advance(10 * GAP_MS)
  t.equal(clock.pending(), 0)
})
