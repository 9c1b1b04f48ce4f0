import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { fakeConsumer, fakeLogger, partition } from '../../ops/testing/runtime-fakes.ts'
import { createAssignments } from './assignments.ts'
import { createPauseScheduler } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import type { Claim, OffsetPositions, TopicPartition } from './ports.ts'

const RETRY_MS = 1_000
const [p0, p1] = [partition(0), partition(1)]

interface World {
  /** undefined: the stage has no ledger. */
  readonly claims?: Record<number, bigint | null>
  readonly offsets: Record<number, OffsetPositions>
}
function setup(world: World) {
  const clock = createFakeClock()
  const consumer = fakeConsumer()
  const logger = fakeLogger()
  const events: string[] = []
  const fails = { claim: 0, positions: 0, seek: 0 }
  let epoch = 0n
  const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: 10, random: () => 0.5 })
  const failing = (what: keyof typeof fails) => {
    if (fails[what] <= 0) return
    fails[what] -= 1
    throw new Error(`${what} failed`)
  }
  const pick = <V>(from: Record<number, V>, at: readonly TopicPartition[]) =>
    at.flatMap((one): [string, V][] => (one.partition in from ? [[partitionKey(one), from[one.partition]!]] : []))
  const assignments = createAssignments({
    scheduler,
    claim: world.claims
      ? async (at) => {
          events.push(`claim ${at.map(({ partition: p }) => p).join()}`)
          failing('claim')
          epoch += 1n
          return new Map(
            pick(world.claims!, at).map(([key, nextOffset]): [string, Claim] => [key, { epoch, nextOffset }]),
          )
        }
      : null,
    positions: async (at) => {
      events.push(`positions ${at.map(({ partition: p }) => p).join()}`)
      failing('positions')
      return new Map(pick(world.offsets, at))
    },
    seek: (at, offset) => {
      failing('seek')
      events.push(`seek ${at.partition} ${offset}`)
    },
    clock,
    logger,
    retryMs: RETRY_MS,
  })
  return { clock, consumer, logger, events, fails, scheduler, assignments }
}
const log = (committed: bigint | null, low = 0n, high = 100n): OffsetPositions => ({ committed, low, high })

void t.test('an assignment starts paused, and is fetched only once its claim and its start are known', async (t) => {
  const { assignments, clock, consumer, events, scheduler } = setup({ claims: { 0: 30n }, offsets: { 0: log(30n) } })
  assignments.replace([p0])
  t.strictSame(consumer.calls, ['pause pages.crawled/0'])
  t.notOk(assignments.get(p0)!.ready)
  await clock.settle()
  t.strictSame(events, ['claim 0', 'positions 0', 'seek 0 30'], 'the claim first: then no zombie moves what is read')
  t.match(assignments.get(p0), { ready: true, alive: true, epoch: 1n, ledger: 30n, committed: 30n })
  t.equal(assignments.get(p0)!.watermark.next(), 30n)
  t.notOk(scheduler.isPaused(p0))
})

void t.test(
  'kafkajs is sent to the start also when that is the committed offset: it may stand elsewhere',
  async (t) => {
    const { assignments, clock, events } = setup({ offsets: { 0: log(30n), 1: log(null, 7n) } })
    assignments.replace([p0, p1])
    await clock.settle()
    t.ok(events.includes('seek 0 30'))
    t.ok(events.includes('seek 1 7'))
    t.equal(assignments.get(p0)!.ledger, null, 'a stage without a ledger')
  },
)

for (const what of ['claim', 'positions', 'seek'] as const)
  void t.test(`a failed ${what} is tried again until it works, and the partitions stay paused`, async (t) => {
    const { assignments, clock, fails, scheduler } = setup({ claims: { 0: 5n }, offsets: { 0: log(5n) } })
    fails[what] = 3
    assignments.replace([p0])
    await clock.advance(RETRY_MS * 3 - 1)
    t.ok(scheduler.isPaused(p0))
    await clock.advance(1)
    t.notOk(scheduler.isPaused(p0))
    t.ok(assignments.get(p0)!.ready)
  })

void t.test('a try that failed half-way leaves the partitions alone that are at work already', async (t) => {
  const world = { claims: { 0: 5n, 1: 5n }, offsets: { 0: log(5n) } as Record<number, OffsetPositions> }
  const { assignments, clock, events } = setup(world)
  assignments.replace([p0, p1])
  await clock.settle()
  const first = assignments.get(p0)!
  t.ok(first.ready)
  t.notOk(assignments.get(p1)!.ready, 'its position was not told')
  first.watermark.begin(5n)
  first.watermark.finish(5n)
  world.offsets[1] = log(5n)
  await clock.advance(RETRY_MS)
  t.equal(assignments.get(p0), first)
  t.equal(first.watermark.next(), 6n, 'not set back')
  t.equal(first.epoch, 1n, 'not claimed anew: that would fence its own writes')
  t.ok(assignments.get(p1)!.ready)
  t.equal(events.filter((event) => event.startsWith('seek 0')).length, 1)
})

void t.test('the next assignment ends the one before, and its retries with it', async (t) => {
  const { assignments, clock, fails, events } = setup({ claims: { 0: 5n, 1: 5n }, offsets: { 0: log(5n), 1: log(5n) } })
  fails.claim = 1
  assignments.replace([p0])
  const before = assignments.get(p0)!
  await clock.settle()
  assignments.replace([p1])
  await clock.advance(RETRY_MS * 3)
  t.notOk(before.alive)
  t.equal(assignments.get(p0), undefined)
  t.strictSame(
    events.filter((event) => event.startsWith('claim')),
    ['claim 0', 'claim 1'],
  )
})

void t.test('a claim that is answered after the partition was lost opens nothing', async (t) => {
  const { assignments, clock, events } = setup({ claims: { 0: 5n }, offsets: { 0: log(5n) } })
  assignments.replace([p0])
  const before = assignments.get(p0)!
  assignments.replace([])
  await clock.settle()
  t.notOk(before.ready)
  t.notOk(events.some((event) => event.startsWith('seek')))
})

void t.test('rows lost by Postgres: it goes back to the ledger, and says so', async (t) => {
  const { assignments, clock, events, logger } = setup({ claims: { 0: 20n }, offsets: { 0: log(30n) } })
  assignments.replace([p0])
  await clock.settle()
  t.ok(events.includes('seek 0 20'))
  t.match(assignments.get(p0), { ledger: 20n, committed: 20n, ready: true })
  t.match(logger.lines, [{ level: 'error', message: /lost rows/ }])
})

void t.test('a commit that was lost is redone, and the ledger is known to be ahead', async (t) => {
  const { assignments, clock } = setup({ claims: { 0: 40n }, offsets: { 0: log(30n) } })
  assignments.replace([p0])
  await clock.settle()
  t.match(assignments.get(p0), { ledger: 40n, committed: 30n })
  t.equal(assignments.get(p0)!.watermark.next(), 30n)
})

for (const [name, offsets] of [
  ['records expired unread', log(5n, 9n)],
  ['the log ends before us', log(500n)],
] as const)
  void t.test(`${name}: the partition halts with an alarm, its siblings work`, async (t) => {
    const { assignments, clock, events, logger, scheduler } = setup({ offsets: { 0: offsets, 1: log(1n) } })
    assignments.replace([p0, p1])
    await clock.advance(60_000)
    t.ok(scheduler.isPaused(p0))
    t.notOk(assignments.get(p0)!.ready)
    t.ok(assignments.get(p1)!.ready)
    t.notOk(events.includes('seek 0'))
    t.match(
      logger.lines.filter(({ level }) => level === 'error'),
      [{ message: /halted/ }],
    )
  })

void t.test(
  'a partition that another member claimed is claimed again, if it is still ours a moment later',
  async (t) => {
    const { assignments, clock, events, scheduler } = setup({ claims: { 0: 5n }, offsets: { 0: log(5n) } })
    assignments.replace([p0])
    await clock.advance(100)
    const fenced = assignments.get(p0)!
    assignments.reclaim(fenced)
    t.notOk(fenced.alive)
    t.ok(scheduler.isPaused(p0))
    await clock.advance(RETRY_MS - 1)
    t.ok(scheduler.isPaused(p0), 'a real new owner has this long to show')
    await clock.advance(1)
    const again = assignments.get(p0)!
    t.match(again, { ready: true, alive: true, epoch: 2n })
    t.notOk(scheduler.isPaused(p0))
    t.equal(events.filter((event) => event === 'seek 0 5').length, 2)
    assignments.reclaim(fenced)
    t.equal(assignments.get(p0), again, 'once for each loss')
  },
)

void t.test('a partition lost to a rebalance meanwhile is not claimed again', async (t) => {
  const { assignments, clock, events } = setup({ claims: { 0: 5n }, offsets: { 0: log(5n) } })
  assignments.replace([p0])
  await clock.advance(100)
  assignments.reclaim(assignments.get(p0)!)
  assignments.replace([])
  await clock.advance(RETRY_MS * 3)
  t.equal(events.filter((event) => event.startsWith('claim')).length, 1)
})
