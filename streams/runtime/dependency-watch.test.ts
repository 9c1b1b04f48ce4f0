import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeAssignment, fakeBreakers, fakeConsumer, fakeLogger, partition } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable } from '../errors.ts'
import type { Dependency } from '../errors.ts'
import { createDependencyWatch } from './dependency-watch.ts'
import { createPauseScheduler } from './pause-scheduler.ts'

const PAUSE_MS = 500
function setup({ partitions = 3 }: { partitions?: number } = {}) {
  const clock = createFakeClock()
  const consumer = fakeConsumer()
  const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: 10, random: () => 0.5 })
  const breakers = fakeBreakers()
  const watch = createDependencyWatch({
    breakers,
    reportedElsewhere: new Set<Dependency>(['embeddings']),
    clock,
    logger: fakeLogger(),
    pauseMs: PAUSE_MS,
    random: () => 0.5,
  })
  const stage = watch.forStage(scheduler)
  const assignments = Array.from({ length: partitions }, (_, index) => fakeAssignment({ at: partition(index) }))
  const fail = (index: number, dependency: Dependency = 'postgres', retryAfterMs?: number) =>
    stage.unavailable(
      assignments[index]!,
      new DependencyUnavailable(dependency, 'away', retryAfterMs === undefined ? {} : { retryAfterMs }),
    )
  const working = () => assignments.map((_, index) => index).filter((index) => !scheduler.isBlocked(partition(index)))
  return { clock, scheduler, watch, stage, breakers, assignments, fail, working }
}

void t.test('the partitions that met the outage pause; another one never notices', async (t) => {
  const { fail, working, watch, breakers } = setup()
  breakers.postgres.set('open')
  fail(0)
  fail(1)
  t.strictSame(working(), [2])
  t.match(watch.outages(), [{ dependency: 'postgres', paused: 2 }])
  t.ok(watch.isWanted('postgres'))
  t.notOk(watch.isWanted('embeddings'))
})

void t.test('before the breaker trips, a partition takes a breath and tries again', async (t) => {
  const { fail, working, clock, breakers } = setup()
  fail(0)
  t.strictSame(breakers.postgres.failures, ['away'])
  t.strictSame(working(), [1, 2])
  await clock.advance(PAUSE_MS)
  t.strictSame(working(), [0, 1, 2])
})

void t.test('its own word on when to come back is honoured, however long', async (t) => {
  const { fail, working, clock } = setup()
  fail(0, 'embeddings', 3_600_000)
  await clock.advance(3_599_999)
  t.strictSame(working(), [1, 2])
  await clock.advance(1)
  t.strictSame(working(), [0, 1, 2])
})

void t.test(
  'open: nobody tries; half-open and ours: ONE partition; closed: the others follow one by one',
  async (t) => {
    const { clock, fail, working, breakers, assignments, watch } = setup()
    breakers.postgres.set('open')
    for (const index of [0, 1, 2]) fail(index)
    await clock.advance(600_000)
    t.strictSame(working(), [])
    breakers.postgres.set('half-open', false)
    await clock.advance(600_000)
    t.strictSame(working(), [], 'another instance tries')
    breakers.postgres.set('half-open', true)
    await clock.advance(100)
    t.strictSame(working(), [0])
    t.ok(assignments[0]!.probing)
    breakers.postgres.set('closed')
    t.strictSame(working(), [0, 1])
    t.notOk(assignments[0]!.probing)
    await clock.advance(9)
    t.strictSame(working(), [0, 1], 'one after the other')
    await clock.advance(1)
    t.strictSame(working(), [0, 1, 2])
    t.strictSame(watch.outages(), [])
  },
)

void t.test('a probe that fails waits with the others again', async (t) => {
  const { fail, working, breakers, assignments, clock } = setup()
  breakers.postgres.set('open')
  for (const index of [0, 1]) fail(index)
  breakers.postgres.set('half-open', true)
  fail(0)
  breakers.postgres.set('open')
  await clock.advance(100)
  t.strictSame(working(), [2])
  t.notOk(assignments[0]!.probing)
})

void t.test('a probe that is taken from us stops', async (t) => {
  const { fail, working, breakers, assignments } = setup()
  breakers.postgres.set('open')
  fail(0)
  breakers.postgres.set('half-open', true)
  t.strictSame(working(), [0, 1, 2])
  breakers.postgres.set('half-open', false)
  t.strictSame(working(), [1, 2])
  t.notOk(assignments[0]!.probing)
})

void t.test('a record of the probe tells the breaker, unless the connector tells it of every request', async (t) => {
  for (const [dependency, told] of [
    ['postgres', 1],
    ['embeddings', 0],
  ] as const) {
    const { fail, breakers, stage, assignments } = setup()
    breakers[dependency].set('open')
    fail(0, dependency)
    breakers[dependency].set('half-open', true)
    stage.succeeded(assignments[0]!)
    stage.succeeded(assignments[1]!)
    t.equal(breakers[dependency].successes, told)
    t.equal(breakers[dependency].failures.length, told)
  }
})

void t.test('a partition that was lost neither pauses its successor nor probes', async (t) => {
  const { fail, working, breakers, assignments, scheduler } = setup()
  assignments[0]!.alive = false
  fail(0)
  t.strictSame(working(), [0, 1, 2])
  breakers.postgres.set('open')
  fail(1)
  fail(2)
  assignments[1]!.alive = false
  breakers.postgres.set('half-open', true)
  t.ok(assignments[2]!.probing)
  t.notOk(scheduler.isBlocked(partition(1)), 'the pause that a claim anew inherited is lifted')
})

void t.test('outages of two dependencies are apart', async (t) => {
  const { fail, working, breakers } = setup()
  breakers.postgres.set('open')
  breakers.embeddings.set('open')
  fail(0, 'postgres')
  fail(1, 'embeddings')
  breakers.embeddings.set('closed')
  t.strictSame(working(), [1, 2])
})

void t.test('a breath has one timer, whatever number of records fails meanwhile', async (t) => {
  const { fail, working, clock } = setup()
  for (let failures = 0; failures < 100; failures += 1) fail(failures % 3)
  t.equal(clock.pending(), 1)
  await clock.advance(PAUSE_MS + 100)
  t.strictSame(working(), [0, 1, 2])
  t.equal(clock.pending(), 0)
})

void t.test('the dependency’s own word makes a breath longer, never shorter', async (t) => {
  const { fail, working, clock } = setup({ partitions: 1 })
  fail(0)
  fail(0, 'postgres', 900)
  fail(0)
  await clock.advance(899)
  t.strictSame(working(), [])
  await clock.advance(100)
  t.strictSame(working(), [0])
})
