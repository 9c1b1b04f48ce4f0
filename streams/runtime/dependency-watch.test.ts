import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeAssignment, fakeConsumer, fakeLogger, partition } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable } from '../errors.ts'
import { createDependencyWatch } from './dependency-watch.ts'
import { createPauseScheduler } from './pause-scheduler.ts'

const MIN_MS = 500
const MAX_MS = 15_000
function setup({ random = () => 0, partitions = 3 }: { random?: () => number; partitions?: number } = {}) {
  const clock = createFakeClock()
  const consumer = fakeConsumer()
  const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: 10, random: () => 0.5 })
  const watch = createDependencyWatch({
    scheduler,
    clock,
    logger: fakeLogger(),
    probeMinMs: MIN_MS,
    probeMaxMs: MAX_MS,
    random,
  })
  const assignments = Array.from({ length: partitions }, (_, index) => fakeAssignment({ at: partition(index) }))
  const fail = (index: number, retryAfterMs?: number, dependency: 'embeddings' | 'postgres' = 'embeddings') =>
    watch.unavailable(
      assignments[index]!,
      new DependencyUnavailable(dependency, 'away', retryAfterMs === undefined ? {} : { retryAfterMs }),
    )
  const running = () => assignments.map((_, index) => index).filter((index) => !scheduler.isPaused(partition(index)))
  return { clock, scheduler, watch, assignments, fail, running }
}

void t.test('the partitions that met the outage pause; another one never notices', async (t) => {
  const { fail, running, watch } = setup()
  fail(0)
  fail(1)
  t.strictSame(running(), [2])
  t.match(watch.outages(), [{ dependency: 'embeddings', paused: 2 }])
})

void t.test('one partition probes; the others resume only once a record of it has succeeded', async (t) => {
  const { clock, fail, running, watch, assignments } = setup()
  for (const index of [0, 1, 2]) fail(index)
  await clock.advance(MIN_MS / 2)
  t.strictSame(running(), [0])
  t.ok(assignments[0]!.probing)
  await clock.advance(MAX_MS - 1)
  t.strictSame(running(), [0])
  watch.succeeded(assignments[0]!)
  t.notOk(assignments[0]!.probing)
  await clock.advance(100)
  t.strictSame(running(), [0, 1, 2])
  t.strictSame(watch.outages(), [])
})

void t.test('a probe that takes long is joined by another, and the success of either ends the outage', async (t) => {
  for (const winner of [0, 1]) {
    const { clock, fail, running, watch, assignments } = setup()
    for (const index of [0, 1, 2]) fail(index)
    await clock.advance(MIN_MS / 2 + MAX_MS)
    t.strictSame(running(), [0, 1])
    watch.succeeded(assignments[winner]!)
    await clock.advance(100)
    t.strictSame(running(), [0, 1, 2])
    t.strictSame(watch.outages(), [])
  }
})

void t.test('an outage lasts while its only partition still tries, so its backoff and its age go on', async (t) => {
  const { clock, fail, watch, running } = setup({ partitions: 1 })
  fail(0)
  const { sinceMs } = watch.outages()[0]!
  await clock.advance(MAX_MS * 3) // a dependency that answers nothing until its own timeout
  fail(0)
  t.equal(watch.outages()[0]!.sinceMs, sinceMs)
  await clock.advance(MIN_MS - 1)
  t.strictSame(running(), [], 'the second wait is twice the first')
})

void t.test('a success of a partition that does not probe ends no outage', async (t) => {
  const { clock, fail, running, watch, assignments } = setup()
  fail(0)
  fail(1)
  watch.succeeded(assignments[2]!)
  await clock.advance(1)
  t.strictSame(running(), [2])
})

void t.test(
  'each failed probe doubles the wait, up to the ceiling, and never comes sooner than half of it',
  async (t) => {
    for (const [jitter, factor] of [
      [0, 0.5],
      [0.999, 1],
    ] as const) {
      const { clock, fail, running } = setup({ random: (): number => jitter, partitions: 1 })
      for (let failures = 1; failures <= 8; failures += 1) {
        fail(0)
        const ceiling = Math.min(MAX_MS, MIN_MS * 2 ** (failures - 1))
        await clock.advance(ceiling * (factor === 1 ? 0.999 : factor) - 20)
        t.strictSame(running(), [], `failure ${failures}: not before ${ceiling * factor} ms`)
        await clock.advance(40)
        t.strictSame(running(), [0], `failure ${failures}: not later than ${ceiling * factor} ms`)
      }
    }
  },
)

void t.test("the dependency's own word on when to come back wins over a shorter wait", async (t) => {
  const { clock, fail, running } = setup({ partitions: 1 })
  fail(0, 60_000)
  await clock.advance(59_999)
  t.strictSame(running(), [])
  await clock.advance(1)
  t.strictSame(running(), [0])
})

void t.test('many records failing at once count as one failure', async (t) => {
  const { clock, fail, running } = setup()
  for (let record = 0; record < 24; record += 1) fail(record % 3)
  await clock.advance(MIN_MS / 2)
  t.strictSame(running(), [0])
})

void t.test('a probe that neither succeeds nor fails (its partition is idle) is followed by the next', async (t) => {
  const { clock, fail, running } = setup({ partitions: 2 })
  fail(0)
  fail(1)
  await clock.advance(MIN_MS / 2)
  t.strictSame(running(), [0])
  await clock.advance(MAX_MS)
  t.strictSame(running(), [0, 1])
})

void t.test('a partition that was lost is not the probe', async (t) => {
  const { clock, fail, running, assignments } = setup({ partitions: 2 })
  fail(0)
  fail(1)
  assignments[0]!.alive = false
  await clock.advance(MIN_MS / 2)
  t.notOk(assignments[0]!.probing)
  t.ok(assignments[1]!.probing)
  await clock.advance(100)
  t.ok(running().includes(1))
})

void t.test('a partition claimed again is not left paused for an outage that its last assignment met', async (t) => {
  const { clock, fail, assignments, running } = setup({ partitions: 1 })
  fail(0)
  assignments[0]!.alive = false // the next assignment knows nothing of this pause
  await clock.advance(MIN_MS)
  t.strictSame(running(), [0])
})

void t.test('a late failure of a lost assignment does not pause the next one', async (t) => {
  const { assignments, fail, running, watch } = setup({ partitions: 1 })
  assignments[0]!.alive = false
  fail(0)
  t.strictSame(running(), [0])
  t.strictSame(watch.outages(), [])
})

void t.test('outages of two dependencies are told apart', async (t) => {
  const { clock, fail, running, watch, assignments } = setup({ partitions: 2 })
  fail(0, undefined, 'postgres')
  fail(1, 60_000, 'embeddings')
  await clock.advance(MIN_MS)
  watch.succeeded(assignments[0]!)
  await clock.advance(1_000)
  t.strictSame(running(), [0])
  t.match(watch.outages(), [{ dependency: 'embeddings' }])
})

void t.test('close leaves no timer behind', async (t) => {
  const { clock, fail, watch } = setup()
  fail(0)
  watch.close()
  t.equal(clock.pending(), 0)
})
