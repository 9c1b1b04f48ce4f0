import fc from 'fast-check'
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import type { FakeClock } from '../../ops/testing/fake-clock.ts'
import {
  deferred,
  fakeAssignment,
  fakeConsumer,
  fakeLogger,
  fakePayload,
  partition,
} from '../../ops/testing/runtime-fakes.ts'
import type { Deferred, FakeMessage } from '../../ops/testing/runtime-fakes.ts'
import { DependencyUnavailable, Fenced, StageError } from '../errors.ts'
import type { InputRecord, Outcome } from '../outcome.ts'
import type { Assignment } from './assignments.ts'
import { createDependencyWatch } from './dependency-watch.ts'
import { createInFlightLimit } from './in-flight.ts'
import { createPauseScheduler } from './pause-scheduler.ts'
import type { Settle } from './settle.ts'
import { createSlice } from './slice.ts'
import type { Writer } from './writer.ts'

const SLICE_MS = 2_000
const RECORD_TIMEOUT_MS = 45_000
interface Value {
  readonly tenant_id: string
  readonly page: string
}
const done: Outcome = { kind: 'done', reason: 'ok' }
const away = new DependencyUnavailable('embeddings', 'away')
const rebalancing = Object.assign(new Error('rebalancing'), { type: 'REBALANCE_IN_PROGRESS' })
const value = (page: string) => JSON.stringify({ tenant_id: 'acme', page })
const pages = (...names: string[]): FakeMessage[] => names.map((name, offset) => ({ offset, value: value(name) }))

interface Options {
  readonly assignment?: Assignment
  readonly handle?: (record: InputRecord<Value>, offset: number) => Promise<Outcome>
  readonly settle?: Settle
  readonly flush?: Writer['flush']
  readonly orderKey?: (value: Value) => string
  readonly limit?: number
  readonly bounds?: () => Promise<{ low: bigint; high: bigint }>
}
function setup(options: Options = {}) {
  const clock = createFakeClock()
  const consumer = fakeConsumer()
  const logger = fakeLogger()
  const scheduler = createPauseScheduler({ consumer, clock, resumeGapMs: 10, random: () => 0.5 })
  const watch = createDependencyWatch({
    scheduler,
    clock,
    logger,
    probeMinMs: 500,
    probeMaxMs: 15_000,
    random: () => 0,
  })
  const assignment = options.assignment ?? fakeAssignment()
  const state = { draining: false, halted: '', reclaimed: 0, boundsAsked: 0 }
  const settled: bigint[] = []
  const slice = createSlice<Value, object>({
    name: 'processor',
    stage: {
      orderKey: options.orderKey ?? ((page) => page.page),
      handle: (record) =>
        options.handle ? options.handle(record, Number(record.id.split('/').at(-1))) : Promise.resolve(done),
    },
    deps: {},
    decode: async (bytes) => JSON.parse(bytes.toString()) as Value,
    assignments: {
      get: ({ partition: number }) => (number === assignment.at.partition ? assignment : undefined),
      all: () => [assignment],
      replace: () => {},
      reclaim: (one) => {
        state.reclaimed += 1
        one.alive = false
      },
      halt: (one, reason) => {
        one.ready = false
        scheduler.pause(one.at, 'offset-guard')
        state.halted = reason
      },
    },
    scheduler,
    watch,
    limit: createInFlightLimit(options.limit ?? 8),
    settle: async (outcome, raw) => {
      const what = options.settle ? await options.settle(outcome, raw) : outcome.kind
      settled.push(raw.offset)
      return what
    },
    writer: options.flush ? { write: () => Promise.reject(new Error('unused')), flush: options.flush } : null,
    logBounds: async () => {
      state.boundsAsked += 1
      return options.bounds ? options.bounds() : { low: 0n, high: 1_000n }
    },
    draining: () => state.draining,
    clock,
    logger,
    observer: {},
    sliceMs: SLICE_MS,
    recordTimeoutMs: RECORD_TIMEOUT_MS,
  })
  return { clock, consumer, logger, scheduler, watch, assignment, state, settled, slice }
}
/** Handlers that end when the test says so. */
function gates() {
  const open = new Map<number, Deferred<Outcome>>()
  const started: number[] = []
  return {
    started,
    handle: (_record: InputRecord<Value>, offset: number) => {
      started.push(offset)
      const gate = deferred<Outcome>()
      open.set(offset, gate)
      return gate.promise
    },
    end: async (clock: FakeClock, ...offsets: number[]) => {
      for (const offset of offsets) open.get(offset)!.resolve(done)
      await clock.settle()
    },
    fail: async (clock: FakeClock, offset: number, error: unknown) => {
      open.get(offset)!.reject(error)
      await clock.settle()
    },
  }
}

void t.test('a batch is settled, then resolved and committed behind its last record', async (t) => {
  const { slice, settled } = setup()
  const { payload, committed, resolved, heartbeats } = fakePayload({ messages: pages('a', 'b', 'c') })
  await slice(payload)
  t.strictSame(settled, [0n, 1n, 2n])
  t.strictSame([committed, resolved], [[3n], [2n]])
  t.equal(heartbeats(), 1)
})

void t.test('records of one page run in order while those of others run beside them', async (t) => {
  const { handle, started, end } = gates()
  const { slice, clock, settled } = setup({ handle })
  const { payload } = fakePayload({ messages: pages('a', 'a', 'b', 'a', 'c') })
  const running = slice(payload)
  await clock.settle()
  t.strictSame(started, [0, 2, 4])
  await end(clock, 4, 2)
  t.strictSame(started, [0, 2, 4])
  await end(clock, 0)
  await end(clock, 1)
  await end(clock, 3)
  await running
  t.strictSame(settled, [4n, 2n, 0n, 1n, 3n])
})

void t.test(
  'only what lies below the first unfinished record is committed, while it works and at its end',
  async (t) => {
    const { handle, end, fail } = gates()
    const { slice, clock, assignment } = setup({ handle, limit: 4 })
    const { payload, committed, resolved } = fakePayload({ messages: pages('a', 'b', 'c', 'd', 'e') })
    const running = slice(payload)
    await clock.settle()
    await clock.advance(600) // past the time of a commit, which comes with the next start
    await end(clock, 0, 2)
    t.strictSame(committed, [1n])
    await fail(clock, 1, away)
    await end(clock, 3, 4)
    await running
    t.strictSame(committed, [1n], '2, 3 and 4 are done, 1 is not')
    t.ok(resolved.every((offset) => offset === 0n))
    t.equal(assignment.watermark.next(), 1n)
  },
)

void t.test(
  'what was done above an unfinished record is not done again when the broker delivers it again',
  async (t) => {
    const { handle, started, end, fail } = gates()
    const { slice, clock, consumer } = setup({ handle })
    const messages = pages('a', 'b', 'c')
    const first = slice(fakePayload({ messages }).payload)
    await clock.settle()
    await end(clock, 0, 2)
    await fail(clock, 1, away)
    await first
    await clock.advance(1_000)
    t.equal(consumer.paused.size, 0)
    const second = fakePayload({ messages: messages.slice(1) })
    const again = slice(second.payload)
    await clock.settle()
    await end(clock, 1)
    await again
    t.strictSame(started, [0, 1, 2, 1])
    t.strictSame([second.committed, second.resolved], [[3n], [2n]])
  },
)

void t.test('the offset moves only once the effect of a record is durable', async (t) => {
  const durable = deferred<string>()
  const { slice, clock, assignment } = setup({
    settle: (_outcome, { offset }) => (offset === 0n ? durable.promise : Promise.resolve('ok')),
    limit: 2,
  })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c') })
  const running = slice(payload)
  await clock.advance(1_500)
  t.equal(assignment.watermark.next(), 0n)
  t.strictSame(committed, [])
  durable.resolve('ok')
  await running
  t.strictSame(committed, [3n])
})

void t.test('with a ledger, what is committed never passes it, nor does the fetch position', async (t) => {
  const assignment = fakeAssignment({ ledger: 1n, committed: 0n })
  const { slice } = setup({ assignment, flush: async () => {} })
  const { payload, committed, resolved } = fakePayload({ messages: pages('a', 'b', 'c') })
  await slice(payload)
  t.strictSame([committed, resolved], [[1n], [0n]])
})

void t.test('the flush brings the ledger up, and the commit follows it in the same slice', async (t) => {
  const assignment = fakeAssignment({ ledger: 0n })
  const { slice } = setup({
    assignment,
    flush: async (one) => {
      one.ledger = one.watermark.next()
    },
  })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
  await slice(payload)
  t.strictSame(committed, [2n])
})

void t.test('a commit or flush that failed is made up for by the next fetch, though no record follows', async (t) => {
  let fails = true
  const assignment = fakeAssignment({ ledger: 0n })
  const { slice, clock, settled, consumer } = setup({
    assignment,
    flush: async (one) => {
      if (fails) throw new Error('flush failed')
      one.ledger = one.watermark.next()
    },
  })
  const first = fakePayload({ messages: pages('a', 'b') })
  await slice(first.payload)
  t.strictSame([first.committed, first.resolved], [[], []], 'not resolved: else these records would never come again')
  t.equal(consumer.paused.size, 1, 'and not fetched in a tight loop')
  fails = false
  await clock.advance(1_100)
  t.equal(consumer.paused.size, 0)
  const refused = fakePayload({
    messages: pages('a', 'b'),
    commit: () => {
      throw new Error('coordinator is loading')
    },
  })
  await slice(refused.payload)
  t.strictSame(refused.resolved, [])
  await clock.advance(1_100)
  const last = fakePayload({ messages: pages('a', 'b') })
  await slice(last.payload)
  t.strictSame([last.committed, last.resolved], [[2n], [1n]])
  t.equal(settled.length, 2, 'nothing was done twice')
})

void t.test(
  'a dependency that is away pauses the partition; the record keeps its attempts and the rest waits',
  async (t) => {
    const outcomes: string[] = []
    const { slice, settled, scheduler, state } = setup({
      handle: async (_record, offset) => (offset === 0 ? done : Promise.reject(away)),
      settle: async (outcome) => {
        outcomes.push(outcome.kind)
        return outcome.kind
      },
      limit: 1,
    })
    const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c', 'd') })
    await slice(payload)
    t.strictSame(settled, [0n])
    t.strictSame(outcomes, ['done'], 'no retry was produced')
    t.strictSame(committed, [1n])
    t.strictSame(
      scheduler.reasons(partition()).map(({ reason }) => reason),
      ['dependency'],
    )
    t.equal(state.reclaimed, 0)
  },
)

void t.test('the probe of a dependency runs one record at a time until one has succeeded', async (t) => {
  const { handle, started, end } = gates()
  const { slice, clock, assignment, watch } = setup({ handle })
  watch.unavailable(assignment, away)
  await clock.advance(500)
  t.ok(assignment.probing)
  const { payload } = fakePayload({ messages: pages('a', 'b', 'c') })
  const running = slice(payload)
  await clock.settle()
  t.strictSame(started, [0])
  await end(clock, 0)
  t.strictSame(started, [0, 1, 2])
  t.strictSame(watch.outages(), [])
  await end(clock, 1, 2)
  await running
})

void t.test('a record that fails by itself does not end an outage: it may never have met the dependency', async (t) => {
  const { slice, clock, assignment, watch } = setup({
    handle: () => Promise.reject(new StageError('bad_page', 'unreadable')),
  })
  watch.unavailable(assignment, away)
  await clock.advance(500)
  await slice(fakePayload({ messages: pages('a', 'b') }).payload)
  t.ok(assignment.probing)
  t.equal(watch.outages().length, 1)
})

for (const [name, arrange] of [
  ['paused', ({ scheduler }) => scheduler.pause(partition(), 'operator')],
  ['draining', ({ state }) => void (state.draining = true)],
  ['not ready', ({ assignment }) => void (assignment.ready = false)],
] as [string, (world: ReturnType<typeof setup>) => void][])
  void t.test(`a batch that was fetched already is left alone when the partition is ${name}`, async (t) => {
    const world = setup()
    arrange(world)
    const { payload, committed, resolved } = fakePayload({ messages: pages('a') })
    await world.slice(payload)
    t.strictSame([world.settled, committed, resolved], [[], [], []])
  })

void t.test('a batch of a partition that is not assigned is left alone', async (t) => {
  const { slice, settled } = setup()
  const { payload, resolved } = fakePayload({ at: partition(9), messages: pages('a') })
  await slice(payload)
  t.strictSame([settled, resolved], [[], []])
})

void t.test('a pause in mid-batch starts nothing more, even when it ends before the batch does', async (t) => {
  const { handle, started, end } = gates()
  const { slice, clock, scheduler } = setup({ handle, limit: 1 })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c') })
  const running = slice(payload)
  await clock.settle()
  scheduler.pause(partition(), 'operator')
  await end(clock, 0) // 1 sees the pause, and is left out
  scheduler.lift(partition(), 'operator')
  await clock.advance(100)
  await running
  t.strictSame(started, [0], 'else 2 would run, and the watermark pass 1')
  t.strictSame(committed, [1n])
})

void t.test('a record left out by a pause that ends during a commit holds back what follows it', async (t) => {
  const { handle, end, started } = gates()
  const { slice, clock, scheduler } = setup({ handle, limit: 1 })
  const answer = deferred()
  const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'b'), commit: () => answer.promise })
  const running = slice(payload)
  await clock.advance(600)
  scheduler.pause(partition(), 'tenant', 300)
  await end(clock, 0) // 1 has its place now, sees the pause and is left out; the commit that is due follows
  await clock.advance(400)
  t.notOk(scheduler.isPaused(partition()))
  answer.resolve()
  await clock.settle()
  await running
  t.strictSame(started, [0], 'else the page of 1 and 2 would be done out of order')
  t.strictSame(committed, [1n])
})

void t.test(
  'a heartbeat that asks to rejoin is rethrown, after the work in flight ended and was committed',
  async (t) => {
    const { handle, started, end } = gates()
    const { slice, clock } = setup({ handle, limit: 2 })
    const { payload, committed } = fakePayload({
      messages: pages('a', 'b', 'c'),
      heartbeat: () => Promise.reject(rebalancing),
    })
    let thrown: unknown
    const running = slice(payload).catch((error: unknown) => (thrown = error))
    await clock.advance(1_000)
    t.equal(thrown, undefined, 'a rebalance waits for what is in flight')
    await end(clock, 0)
    t.strictSame(started, [0, 1], 'and nothing new is started')
    await end(clock, 1)
    await running
    t.equal(thrown, rebalancing)
    t.equal(committed.at(-1), 2n)
    t.equal(clock.pending(), 0, 'no heartbeat is left behind')
  },
)

void t.test(
  'a commit that is answered with a rebalance is rethrown, so that kafkajs joins again at once',
  async (t) => {
    const { slice } = setup()
    const { payload, resolved } = fakePayload({
      messages: pages('a'),
      commit: () => {
        throw rebalancing
      },
    })
    await t.rejects(slice(payload), rebalancing)
    t.strictSame(resolved, [])
  },
)

void t.test('a slice ends when its time is up; what it has not started is fetched again', async (t) => {
  const { clock, slice, settled } = setup({
    handle: async () => {
      await new Promise<void>((resolve) => void clock.after(300, resolve))
      return done
    },
    limit: 1,
  })
  const { payload, committed } = fakePayload({
    messages: pages(...Array.from({ length: 20 }, (_, index) => `p${index}`)),
  })
  const running = slice(payload)
  await clock.advance(10_000)
  await running
  t.equal(settled.length, Math.ceil(SLICE_MS / 300))
  t.equal(committed.at(-1), BigInt(settled.length))
  t.ok(committed.length >= 3, 'and it commits on its way')
  t.strictSame([...committed].sort(), committed)
})

void t.test('records that queue behind one of their page are left to the next slice too', async (t) => {
  const { clock, slice, settled } = setup({
    handle: async () => {
      await new Promise<void>((resolve) => void clock.after(1_500, resolve))
      return done
    },
  })
  const running = slice(fakePayload({ messages: pages('a', 'a', 'a', 'a', 'a', 'a') }).payload)
  await clock.advance(4_000)
  await running
  t.strictSame(settled, [0n, 1n], 'else one page would hold every partition of its broker for 9 s')
})

void t.test('a slice does one record at least, however long it waited for its place', async (t) => {
  const { handle, end, started } = gates()
  const { clock, slice, assignment } = setup({ handle, limit: 1 })
  const first = slice(fakePayload({ messages: pages('a') }).payload)
  await clock.settle()
  assignment.watermark.finish(0n)
  const second = slice(fakePayload({ messages: [{ offset: 1, value: value('b') }] }).payload)
  await clock.advance(SLICE_MS * 3)
  await end(clock, 0)
  t.strictSame(started, [0, 1])
  await end(clock, 1)
  await Promise.all([first, second])
})

void t.test('a drain starts nothing more, and commits what was in flight', async (t) => {
  const { handle, started, end } = gates()
  const { slice, clock, state } = setup({ handle, limit: 1 })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
  const running = slice(payload)
  await clock.settle()
  state.draining = true
  await end(clock, 0)
  await running
  t.strictSame([started, committed], [[0], [1n]])
})

void t.test('a partition lost while its record is worked on: nothing is settled, resolved or committed', async (t) => {
  const { handle, end } = gates()
  const { slice, clock, assignment, settled } = setup({ handle })
  const { payload, committed, resolved } = fakePayload({ messages: pages('a') })
  const running = slice(payload)
  await clock.settle()
  assignment.alive = false
  await end(clock, 0)
  await running
  t.strictSame([settled, committed, resolved], [[], [], []])
})

void t.test('a fenced write claims the partition again, and commits nothing', async (t) => {
  const { slice, state } = setup({ settle: () => Promise.reject(new Fenced('newer epoch')) })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
  await slice(payload)
  t.strictSame([state.reclaimed > 0, committed], [true, []])
})

void t.test(
  'what cannot be settled for its own sake is retried or dead-lettered, and its neighbours go on',
  async (t) => {
    const outcomes: string[] = []
    const { slice } = setup({
      settle: async (outcome, { offset }) => {
        if (offset === 1n && outcome.kind === 'done') throw new StageError('record_too_large', 'too large')
        outcomes.push(`${offset} ${outcome.kind}`)
        return outcome.kind
      },
    })
    const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c') })
    await slice(payload)
    t.strictSame(outcomes.sort(), ['0 done', '1 reject', '2 done'])
    t.strictSame(committed, [3n])
  },
)

void t.test(
  'what can be neither settled nor dead-lettered stays where it is, and is tried again in a while',
  async (t) => {
    const { slice, consumer, clock, logger } = setup({ settle: () => Promise.reject(new Error('no topic')) })
    const { payload, committed, resolved } = fakePayload({ messages: pages('a') })
    await slice(payload)
    t.strictSame([committed, resolved], [[], []])
    t.equal(consumer.paused.size, 1)
    t.match(
      logger.lines.filter(({ level }) => level === 'error'),
      [{ message: /neither settled nor dead-lettered/ }],
    )
    await clock.advance(5_000)
    t.equal(consumer.paused.size, 0)
  },
)

void t.test(
  'undecodable, of another tenant, or beyond the stage’s understanding: dead letter or retry, never a crash',
  async (t) => {
    const outcomes: string[] = []
    const { slice } = setup({
      orderKey: (page) => {
        if (page.page === 'crash') throw new TypeError('page.url is undefined')
        return page.page
      },
      settle: async (outcome) => {
        outcomes.push(outcome.kind === 'retry' || outcome.kind === 'reject' ? outcome.error.code : outcome.kind)
        return ''
      },
    })
    const { payload, committed } = fakePayload({
      messages: [
        { offset: 0, value: 'not json' },
        { offset: 1, value: value('a'), key: 'other' },
        { offset: 2, value: value('crash') },
        { offset: 3, value: null },
        { offset: 4, value: value('b') },
      ],
    })
    await slice(payload)
    t.strictSame(outcomes.sort(), ['done', 'empty_value', 'tenant_mismatch', 'unexpected', 'unexpected'])
    t.strictSame(committed, [5n])
  },
)

void t.test('a retry that is not due pauses its partition until it is; a nearly due one is waited for', async (t) => {
  const assignment = fakeAssignment({ at: partition(0, 'pages.crawled.retry') })
  const { slice, clock, scheduler, settled } = setup({ assignment })
  const due = (inMs: number) => ({ 'sluice-due-ms': String(clock.now() + inMs) })
  const batch = (inMs: number) =>
    fakePayload({ at: assignment.at, messages: [{ offset: 0, value: value('a'), headers: due(inMs) }] }).payload
  await slice(batch(10_000))
  t.strictSame(
    scheduler.reasons(assignment.at).map(({ reason }) => reason),
    ['retry-due'],
  )
  await clock.advance(9_999)
  t.ok(scheduler.isPaused(assignment.at))
  await clock.advance(1)
  t.notOk(scheduler.isPaused(assignment.at))
  const running = slice(batch(200))
  await clock.advance(199)
  t.strictSame(settled, [])
  await clock.advance(1)
  await running
  t.strictSame(settled, [0n])
})

void t.test('a gap of control records is crossed; behind the last record it is committed too', async (t) => {
  const { slice, state, assignment, settled } = setup({ assignment: fakeAssignment({ start: 10n }) })
  const { payload, committed } = fakePayload({
    messages: [
      { offset: 12, value: value('a') },
      { offset: 14, value: value('b') },
    ],
    lastOffset: 15,
  })
  await slice(payload)
  t.strictSame(settled, [12n, 14n])
  t.strictSame(committed, [16n])
  t.equal(state.halted, '')
  await slice(fakePayload({ messages: [{ offset: 16, value: value('c') }] }).payload)
  t.equal(assignment.watermark.next(), 17n)
  t.equal(state.boundsAsked, 1, 'the log is asked only about a gap that is not explained')
})

for (const [name, messages, highWatermark, bounds, reason] of [
  ['records expired unread', [{ offset: 20 }], 30, { low: 20n, high: 30n }, 'expired_unread'],
  ['the topic was created anew', [{ offset: 0 }], 3, { low: 0n, high: 3n }, 'beyond_end'],
] as const)
  void t.test(`${name}: the partition halts, and the group's offset is put back where we stood`, async (t) => {
    const assignment = fakeAssignment({ start: 10n })
    const { slice, state, settled } = setup({ assignment, bounds: async () => bounds })
    const { payload, committed, resolved } = fakePayload({ messages, highWatermark })
    await slice(payload)
    t.equal(state.halted, reason)
    t.strictSame([settled, resolved], [[], []])
    t.strictSame(committed, [10n], 'kafkajs has committed its jump: the next owner must halt too')
  })

void t.test('a replica whose high watermark lags is no reason to halt', async (t) => {
  const assignment = fakeAssignment({ start: 10n })
  const { slice, state } = setup({ assignment, bounds: async () => ({ low: 0n, high: 12n }) })
  await slice(fakePayload({ messages: [{ offset: 8, value: value('a') }], highWatermark: 9 }).payload)
  t.equal(state.halted, '')
})

void t.test('a gap that cannot be checked is not crossed, and is checked again in a while', async (t) => {
  const assignment = fakeAssignment({ start: 10n })
  const { slice, settled, scheduler, clock } = setup({
    assignment,
    bounds: () => Promise.reject(new Error('no leader')),
  })
  await slice(fakePayload({ messages: [{ offset: 20, value: value('a') }] }).payload)
  t.strictSame(settled, [])
  t.ok(scheduler.isPaused(partition()))
  await clock.advance(1_000)
  t.notOk(scheduler.isPaused(partition()))
})

void t.test(
  'through pauses, outages and failed commits: nothing is lost, nothing is committed early, pages keep their order',
  async (t) => {
    const COUNT = 24
    const plan = fc.record({
      pages: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: COUNT, maxLength: COUNT }),
      takesMs: fc.array(fc.constantFrom(0, 60, 250, 550, 1_900), { minLength: COUNT, maxLength: COUNT }),
      failsFirst: fc.array(fc.constantFrom(...Array<boolean>(9).fill(false), true), {
        minLength: COUNT,
        maxLength: COUNT,
      }),
      pauses: fc.array(fc.record({ atMs: fc.nat({ max: 12_000 }), forMs: fc.integer({ min: 1, max: 500 }) }), {
        maxLength: 20,
      }),
      commits: fc.infiniteStream(fc.constantFrom('ok', 'slow', 'slow', 'fails')),
      limit: fc.integer({ min: 1, max: 4 }),
      batch: fc.integer({ min: 3, max: 12 }),
      lossy: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(plan, async (p) => {
        const failed = new Set<number>()
        const assignment = fakeAssignment({ ledger: p.lossy ? 0n : null })
        const order: number[] = []
        const problems: string[] = []
        const world = setup({
          assignment,
          limit: p.limit,
          handle: async (_record, offset) => {
            if (p.takesMs[offset]! > 0)
              await new Promise<void>((resolve) => void clock.after(p.takesMs[offset]!, resolve))
            if (p.failsFirst[offset] && !failed.has(offset)) {
              failed.add(offset)
              throw away
            }
            return done
          },
          settle: async (outcome, { offset }) => {
            order.push(Number(offset))
            return outcome.kind
          },
          ...(p.lossy ? { flush: async (one) => void (one.ledger = one.watermark.next()) } : {}),
        })
        const { clock, slice, scheduler, consumer } = world
        for (const { atMs, forMs } of p.pauses) clock.after(atMs, () => scheduler.pause(partition(), 'tenant', forMs))
        let position = 0
        let last = 0n
        for (let round = 0; round < 400 && last < BigInt(COUNT); round += 1) {
          if (consumer.paused.size > 0 || position >= COUNT) {
            await clock.advance(100)
            continue
          }
          const messages = Array.from({ length: Math.min(p.batch, COUNT - position) }, (_, index) => ({
            offset: position + index,
            value: value(p.pages[position + index]!),
          }))
          const { payload, resolved } = fakePayload({
            messages,
            highWatermark: COUNT,
            commit: async (offset) => {
              const how = p.commits.next().value as string
              if (how === 'slow') await new Promise<void>((resolve) => void clock.after(700, resolve))
              if (how === 'fails') throw new Error('coordinator is loading')
              if (offset <= last) problems.push(`commit ${offset} after ${last}`)
              if (assignment.ledger !== null && offset > assignment.ledger)
                problems.push(`commit ${offset} past the ledger`)
              for (let below = 0; below < Number(offset); below += 1)
                if (!order.includes(below)) problems.push(`commit ${offset} before ${below} was settled`)
              last = offset
            },
          })
          let ended = false
          const running = slice(payload).finally(() => (ended = true))
          for (let step = 0; !ended && step < 2_000; step += 1) await clock.advance(50)
          await running
          for (const offset of resolved) {
            if (Number(offset) + 1 < position) problems.push(`resolved backwards to ${offset}`)
            position = Number(offset) + 1
          }
        }
        if (last !== BigInt(COUNT)) problems.push(`stalled at ${last}`)
        if (new Set(order).size !== order.length) problems.push('settled twice')
        for (const page of new Set(p.pages)) {
          const mine = order.filter((offset) => p.pages[offset] === page)
          if (mine.some((offset, index) => index > 0 && offset < mine[index - 1]!))
            problems.push(`page ${page}: ${mine.join()}`)
        }
        if (problems.length > 0) throw new Error(problems.join('; '))
      }),
      { numRuns: 60 },
    )
    t.pass()
  },
)
