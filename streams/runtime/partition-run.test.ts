import fc from 'fast-check'
import t from 'tap'
import { deferred, fakeAssignment, fakePayload, partition } from '../../ops/testing/runtime-fakes.ts'
import type { FakeMessage } from '../../ops/testing/runtime-fakes.ts'
import { done, heldHandlers, pages, stageLoop, value } from '../../ops/testing/stage-loop.ts'
import { DependencyUnavailable, Fenced, StageError } from '../errors.ts'
import { whileHeld } from './hold.ts'
import { WINDOW } from './window.ts'

const away = new DependencyUnavailable('embeddings', 'away')

void t.test('a batch is fetched past at once, and committed behind its last record once all is settled', async (t) => {
  const { take, settled } = stageLoop()
  const { payload, committed, resolved } = fakePayload({ messages: pages('a', 'b', 'c') })
  await take(payload)
  t.strictSame(settled, [0n, 1n, 2n])
  t.strictSame([committed, resolved], [[3n], [2n]])
})

void t.test('the consumer is not held up by work: the next batch is taken while the first is worked on', async (t) => {
  const { handle, started } = heldHandlers()
  const { intake, clock } = stageLoop({ handle })
  await intake(fakePayload({ messages: pages('a', 'b') }).payload)
  await intake(fakePayload({ messages: [{ offset: 2, value: value('c') }] }).payload)
  await clock.settle()
  t.strictSame(started, [0, 1, 2])
})

void t.test('records of one page run in order while those of others run beside them', async (t) => {
  const { handle, started, end } = heldHandlers()
  const { intake, clock, settled } = stageLoop({ handle })
  await intake(fakePayload({ messages: pages('a', 'a', 'b', 'a', 'c') }).payload)
  await clock.settle()
  t.strictSame(started, [0, 2, 4])
  await end(clock, 4, 2)
  t.strictSame(started, [0, 2, 4])
  await end(clock, 0)
  await end(clock, 1)
  await end(clock, 3)
  t.strictSame(settled, [4n, 2n, 0n, 1n, 3n])
})

void t.test('many versions of one page take one place: its neighbours go on', async (t) => {
  const { handle, started, end } = heldHandlers()
  const { intake, clock, settled, gate } = stageLoop({ handle, limit: 2 })
  const hot = Array.from({ length: 24 }, () => 'hot')
  const { payload, committed } = fakePayload({ messages: pages(...hot, 'other') })
  await intake(payload)
  await clock.settle()
  t.strictSame([started, gate.inFlight()], [[0, 24], 2])
  await end(clock, 24)
  for (let offset = 0; offset < 24; offset += 1) {
    t.equal(gate.inFlight(), 1)
    await end(clock, offset)
  }
  await clock.advance(300)
  t.strictSame(settled, [24n, ...hot.map((_, offset) => BigInt(offset))], 'its versions in order')
  t.strictSame([committed, gate.inFlight()], [[25n], 0])
})

void t.test('a version that is fetched while its page’s next is called comes behind it', async (t) => {
  const { handle, started, end } = heldHandlers()
  const { intake, clock } = stageLoop({ handle, limit: 3 })
  await intake(fakePayload({ messages: pages('a', 'a') }).payload)
  await clock.settle()
  void end(clock, 0)
  await intake(fakePayload({ messages: [{ offset: 2, value: value('a') }] }).payload)
  await clock.settle()
  await end(clock, 1)
  await end(clock, 2)
  t.strictSame(started, [0, 1, 2])
})

void t.test('only what lies below the first unfinished record is committed', async (t) => {
  const { handle, end } = heldHandlers()
  const { intake, clock, assignment } = stageLoop({ handle })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c', 'd', 'e') })
  await intake(payload)
  await clock.settle()
  await end(clock, 0, 2)
  await clock.advance(300)
  t.strictSame(committed, [1n])
  await end(clock, 3, 4)
  await clock.advance(300)
  t.strictSame(committed, [1n], '2, 3 and 4 are done, 1 is not')
  t.equal(assignment.watermark.next(), 1n)
})

void t.test('the offset moves only once the effect of a record is durable', async (t) => {
  const durable = deferred<string>()
  const { take, clock, assignment } = stageLoop({
    settle: (_outcome, { offset }) => (offset === 0n ? durable.promise : Promise.resolve('ok')),
  })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c') })
  await take(payload)
  await clock.advance(1_500)
  t.equal(assignment.watermark.next(), 0n)
  t.strictSame(committed, [])
  durable.resolve('ok')
  await clock.advance(300)
  t.strictSame(committed, [3n])
})

void t.test(
  'a dependency that is away: the record keeps its attempts, waits, and comes before its page’s next',
  async (t) => {
    const { handle, started, end, fail } = heldHandlers()
    const outcomes: string[] = []
    const loop = stageLoop({
      handle,
      settle: async (outcome, { offset }) => {
        outcomes.push(`${offset} ${outcome.kind}`)
        return ''
      },
    })
    const { payload, committed } = fakePayload({ messages: pages('a', 'a', 'b', 'c') })
    await loop.intake(payload)
    await loop.clock.settle()
    t.strictSame(started, [0, 2, 3])
    loop.breakers.embeddings.set('open')
    await fail(loop.clock, 0, away)
    await end(loop.clock, 2, 3)
    t.ok(loop.scheduler.isBlocked(partition()))
    t.strictSame([outcomes, loop.state.reclaimed], [['2 done', '3 done'], 0])
    await loop.clock.advance(60_000)
    t.strictSame([started, committed], [[0, 2, 3], []])
    loop.breakers.embeddings.set('closed')
    await loop.clock.advance(100)
    t.strictSame(started, [0, 2, 3, 0], 'the second of its page waits behind it')
    await end(loop.clock, 0)
    await end(loop.clock, 1)
    await loop.clock.advance(300)
    t.strictSame(committed, [4n])
    t.strictSame(started, [0, 2, 3, 0, 1], 'what was done is not done again')
  },
)

void t.test('the probe of a dependency runs one record at a time until one has succeeded', async (t) => {
  const { handle, started, end, fail } = heldHandlers()
  const { intake, clock, assignment, breakers, watch } = stageLoop({ handle, limit: 1 })
  breakers.embeddings.set('open')
  await intake(fakePayload({ messages: pages('a', 'b', 'c') }).payload)
  await clock.settle()
  await fail(clock, 0, away)
  breakers.embeddings.set('half-open', true)
  await clock.advance(100)
  t.ok(assignment.probing)
  t.strictSame(started, [0, 0])
  await end(clock, 0)
  t.equal(breakers.embeddings.successes, 1)
  breakers.embeddings.set('closed')
  await clock.advance(100)
  t.strictSame(started, [0, 0, 1])
  t.strictSame(watch.outages(), [])
})

void t.test('a record that fails by itself does not end an outage: it may never have met the dependency', async (t) => {
  const { take, breakers, assignment, watch } = stageLoop({
    handle: () => Promise.reject(new StageError('bad_page', 'unreadable')),
  })
  breakers.embeddings.set('open')
  watch.forStage({ pause: () => {}, lift: () => {}, reasons: () => [] } as never).unavailable(assignment, away)
  breakers.embeddings.set('half-open', true)
  await take(fakePayload({ messages: pages('a', 'b') }).payload)
  t.equal(breakers.embeddings.successes, 0)
})

for (const [name, arrange] of [
  ['paused', ({ scheduler }) => scheduler.pause(partition(), 'operator')],
  ['draining', ({ state }) => void (state.draining = true)],
  ['not ready', ({ assignment }) => void (assignment.ready = false)],
] as [string, (world: ReturnType<typeof stageLoop>) => void][])
  void t.test(`a batch that was fetched already is left alone when the partition is ${name}`, async (t) => {
    const world = stageLoop()
    arrange(world)
    const { payload, committed, resolved } = fakePayload({ messages: pages('a') })
    await world.take(payload)
    t.strictSame([world.settled, committed, resolved], [[], [], []])
  })

void t.test('a batch of a partition that is not assigned is left alone', async (t) => {
  const { take, settled } = stageLoop()
  const { payload, resolved } = fakePayload({ at: partition(9), messages: pages('a') })
  await take(payload)
  t.strictSame([settled, resolved], [[], []])
})

void t.test('an operator’s pause starts nothing more; what waited goes on in order when it ends', async (t) => {
  const { handle, started, end } = heldHandlers()
  const { intake, clock, scheduler } = stageLoop({ handle, limit: 1 })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'b') })
  await intake(payload)
  await clock.settle()
  scheduler.pause(partition(), 'operator')
  await end(clock, 0)
  await clock.advance(10_000)
  t.strictSame([started, committed], [[0], [1n]])
  scheduler.lift(partition(), 'operator')
  await clock.advance(100)
  await end(clock, 1)
  await end(clock, 2)
  t.strictSame(started, [0, 1, 2])
})

void t.test('a paused tenant’s records wait; its neighbours in the partition go on', async (t) => {
  const { take, state, runs, settled, clock } = stageLoop()
  state.pausedTenants.add('flood')
  const messages = ['flood', 'acme', 'flood', 'other'].map((tenant, offset) => ({
    ...{ offset, key: tenant, value: value(`p${offset}`, tenant) },
  }))
  const { payload, committed } = fakePayload({ messages })
  await take(payload)
  t.strictSame([settled, committed], [[1n, 3n], []])
  state.pausedTenants.clear()
  runs.kickAll()
  await clock.advance(300)
  t.strictSame([settled, committed], [[1n, 3n, 0n, 2n], [4n]])
})

void t.test('a full window pauses fetching, not the work; half empty, it is fetched again', async (t) => {
  const { handle, end } = heldHandlers()
  const { intake, clock, scheduler, consumer } = stageLoop({ handle, limit: WINDOW.maxRecords })
  const count = WINDOW.maxRecords
  const { payload } = fakePayload({ messages: pages(...Array.from({ length: count }, (_, index) => `p${index}`)) })
  await intake(payload)
  await clock.settle()
  t.match(scheduler.reasons(partition()), [{ reason: 'rate' }])
  t.notOk(scheduler.isBlocked(partition()))
  const offsets = Array.from({ length: count }, (_, index) => index)
  await end(clock, ...offsets.slice(0, count / 2))
  t.equal(consumer.paused.size, 1)
  await end(clock, count / 2)
  await clock.advance(100)
  t.equal(consumer.paused.size, 0)
})

void t.test(
  'a flood of one tenant does not hold up its neighbour in the partition, within the look-ahead',
  async (t) => {
    const { handle, started, end } = heldHandlers()
    const { intake, clock } = stageLoop({ handle, limit: 2 })
    const flood = Array.from({ length: 2_000 }, (_, offset) => ({
      offset,
      key: 'flood',
      value: value(`p${offset}`, 'flood'),
    }))
    await intake(fakePayload({ messages: flood }).payload)
    await intake(fakePayload({ messages: [{ offset: 2_000, key: 'quiet', value: value('q', 'quiet') }] }).payload)
    await clock.settle()
    t.strictSame(started, [0, 1])
    await end(clock, 0)
    await end(clock, 1)
    t.ok(started.includes(2_000), 'it stands at the gate beside the flood, not behind its backlog')
  },
)

void t.test('a drain starts nothing more, and what was in flight ends and is committed', async (t) => {
  const { handle, started, end } = heldHandlers()
  const { intake, clock, state, runs, committer } = stageLoop({ handle, limit: 1 })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
  await intake(payload)
  await clock.settle()
  state.draining = true
  let idle = false
  void runs.idle().then(() => (idle = true))
  await clock.settle()
  t.notOk(idle)
  await end(clock, 0)
  t.ok(idle)
  t.ok(await committer.commitNow())
  t.strictSame([started, committed], [[0], [1n]])
})

void t.test('a partition lost while its record is worked on: nothing is settled or committed', async (t) => {
  const { handle, end } = heldHandlers()
  const { intake, clock, assignment, settled, runs } = stageLoop({ handle })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
  await intake(payload)
  await clock.settle()
  assignment.alive = false
  runs.closeLost()
  await end(clock, 0, 1)
  await clock.advance(300)
  t.strictSame([settled, committed], [[], []])
})

void t.test(
  'what a rebalance gives back to this process is settled with the outcome in hand, not worked out again',
  async (t) => {
    const { handle, end, started } = heldHandlers()
    const { intake, clock, assignment, settled, runs, own, inHand } = stageLoop({ handle })
    await intake(fakePayload({ messages: pages('a', 'b') }).payload)
    await clock.settle()
    assignment.alive = false
    runs.closeLost()
    await end(clock, 0)
    own(fakeAssignment())
    const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
    await intake(payload)
    await clock.settle()
    await end(clock, 1)
    await clock.advance(300)
    t.strictSame(started, [0, 1], 'each handled once')
    t.strictSame([settled, committed], [[0n, 1n], [2n]])
    t.equal(inHand.size, 0)
  },
)

void t.test('an outcome whose record went to another instance is forgotten in a while', async (t) => {
  const { handle, end } = heldHandlers()
  const { intake, clock, assignment, runs, inHand } = stageLoop({ handle })
  await intake(fakePayload({ messages: pages('a') }).payload)
  await clock.settle()
  assignment.alive = false
  runs.closeLost()
  await end(clock, 0)
  t.equal(inHand.size, 1)
  await clock.advance(60_000)
  t.equal(inHand.size, 0)
})

void t.test('an outcome that could not be written is kept: its embeddings are not bought again', async (t) => {
  let down = true
  const { handle, end, started } = heldHandlers()
  const { intake, clock, breakers, settled } = stageLoop({
    handle,
    settle: () => (down ? Promise.reject(new DependencyUnavailable('postgres', 'away')) : Promise.resolve('store')),
  })
  breakers.postgres.set('open')
  await intake(fakePayload({ messages: pages('a') }).payload)
  await clock.settle()
  await end(clock, 0)
  await clock.advance(120_000)
  down = false
  breakers.postgres.set('closed')
  await clock.advance(300)
  t.strictSame([started, settled], [[0], [0n]])
})

void t.test('a fenced write claims the partition again, and commits nothing', async (t) => {
  const { take, state } = stageLoop({ settle: () => Promise.reject(new Fenced('newer epoch')) })
  const { payload, committed } = fakePayload({ messages: pages('a', 'b') })
  await take(payload)
  t.strictSame([state.reclaimed > 0, committed], [true, []])
})

void t.test(
  'what cannot be settled for its own sake is retried or dead-lettered, and its neighbours go on',
  async (t) => {
    const outcomes: string[] = []
    const { take } = stageLoop({
      settle: async (outcome, { offset }) => {
        if (offset === 1n && outcome.kind === 'done') throw new StageError('record_too_large', 'too large')
        outcomes.push(`${offset} ${outcome.kind}`)
        return outcome.kind
      },
    })
    const { payload, committed } = fakePayload({ messages: pages('a', 'b', 'c') })
    await take(payload)
    t.strictSame(outcomes.sort(), ['0 done', '1 reject', '2 done'])
    t.strictSame(committed, [3n])
  },
)

void t.test(
  'what can be neither settled nor dead-lettered stays where it is, and is tried again in a while',
  async (t) => {
    let broken = true
    const { take, scheduler, clock, logger, settled } = stageLoop({
      settle: () => (broken ? Promise.reject(new Error('no topic')) : Promise.resolve('')),
    })
    const { payload, committed } = fakePayload({ messages: pages('a') })
    await take(payload)
    t.strictSame(committed, [])
    t.ok(scheduler.isBlocked(partition()))
    t.match(
      logger.lines.filter(({ level }) => level === 'error'),
      [{ message: /neither settled nor dead-lettered/ }],
    )
    broken = false
    await clock.advance(5_300)
    t.strictSame([settled, committed], [[0n], [1n]])
  },
)

void t.test(
  'undecodable, of another tenant, or beyond the stage’s understanding: dead letter or retry, never a crash',
  async (t) => {
    const outcomes: string[] = []
    const { take } = stageLoop({
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
    await take(payload)
    t.strictSame(outcomes.sort(), ['done', 'empty_value', 'tenant_mismatch', 'unexpected', 'unexpected'])
    t.strictSame(committed, [5n])
  },
)

void t.test('a retry waits aside until it is due; a later record that is due before it goes first', async (t) => {
  const assignment = fakeAssignment({ at: partition(0, 'pages.crawled.retry') })
  const { take, clock, settled } = stageLoop({ assignment })
  const due = (inMs: number) => ({ 'sluice-due-ms': String(clock.now() + inMs) })
  const messages: FakeMessage[] = [
    { offset: 0, value: value('a'), headers: due(60_000) },
    { offset: 1, value: value('b'), headers: due(1_000) },
    { offset: 2, value: value('c') },
  ]
  const { payload, committed } = fakePayload({ at: assignment.at, messages })
  await take(payload)
  t.strictSame(settled, [2n])
  await clock.advance(700)
  t.strictSame(settled, [2n, 1n])
  await clock.advance(58_999)
  t.strictSame([settled, committed], [[2n, 1n], []])
  await clock.advance(300)
  t.strictSame([settled, committed], [[2n, 1n, 0n], [3n]])
})

void t.test('a gap of control records is crossed; behind the last record it is committed too', async (t) => {
  const { take, state, assignment, settled } = stageLoop({ assignment: fakeAssignment({ start: 10n }) })
  const { payload, committed } = fakePayload({
    messages: [
      { offset: 12, value: value('a') },
      { offset: 14, value: value('b') },
    ],
    lastOffset: 15,
  })
  await take(payload)
  t.strictSame(settled, [12n, 14n])
  t.strictSame(committed, [16n])
  t.equal(state.halted, '')
  await take(fakePayload({ messages: [{ offset: 16, value: value('c') }] }).payload)
  t.equal(assignment.watermark.next(), 17n)
  t.equal(state.boundsAsked, 1, 'the log is asked only about a gap that is not explained')
})

for (const [name, messages, highWatermark, bounds, reason] of [
  ['records expired unread', [{ offset: 20 }], 30, { low: 20n, high: 30n }, 'expired_unread'],
  ['the topic was created anew', [{ offset: 0 }], 3, { low: 0n, high: 3n }, 'beyond_end'],
] as const)
  void t.test(`${name}: the partition halts, and the group's offset is put back where we stood`, async (t) => {
    const assignment = fakeAssignment({ start: 10n })
    const { take, state, settled } = stageLoop({ assignment, bounds: async () => bounds })
    const { payload, committed, resolved } = fakePayload({ messages, highWatermark })
    await take(payload)
    t.equal(state.halted, reason)
    t.strictSame([settled, resolved], [[], []])
    t.strictSame(committed, [10n], 'kafkajs has committed its jump: the next owner must halt too')
  })

void t.test('a replica whose high watermark lags is no reason to halt', async (t) => {
  const assignment = fakeAssignment({ start: 10n })
  const { take, state } = stageLoop({ assignment, bounds: async () => ({ low: 0n, high: 12n }) })
  await take(fakePayload({ messages: [{ offset: 8, value: value('a') }], highWatermark: 9 }).payload)
  t.equal(state.halted, '')
})

void t.test('a gap that cannot be checked is not crossed, and is checked again in a while', async (t) => {
  const assignment = fakeAssignment({ start: 10n })
  const { take, settled, scheduler, clock } = stageLoop({
    assignment,
    bounds: () => Promise.reject(new Error('no leader')),
  })
  await take(fakePayload({ messages: [{ offset: 20, value: value('a') }] }).payload)
  t.strictSame(settled, [])
  t.ok(scheduler.isPaused(partition()))
  await clock.advance(1_000)
  t.notOk(scheduler.isPaused(partition()))
})

void t.test(
  'through pauses, outages, rebalances and failed commits: nothing lost, nothing committed early, pages in order',
  async (t) => {
    const COUNT = 24
    const each = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: COUNT, maxLength: COUNT })
    const plan = fc.record({
      pages: each(fc.constantFrom('a', 'b', 'c', 'd')),
      tenants: fc.record({
        a: fc.constantFrom('x', 'y'),
        b: fc.constantFrom('x', 'y'),
        c: fc.constant('x'),
        d: fc.constant('y'),
      }),
      takesMs: each(fc.constantFrom(0, 60, 250, 550, 1_900)),
      failsFirst: each(fc.constantFrom(...Array<boolean>(9).fill(false), true)),
      pauses: fc.array(
        fc.record({
          atMs: fc.nat({ max: 12_000 }),
          forMs: fc.integer({ min: 1, max: 500 }),
          reason: fc.constantFrom('operator' as const, 'rate' as const, 'dependency' as const),
        }),
        { maxLength: 20 },
      ),
      rebalances: fc.array(fc.nat({ max: 12_000 }), { maxLength: 3 }),
      commits: fc.infiniteStream(fc.constantFrom('ok', 'slow', 'slow', 'fails')),
      limit: fc.integer({ min: 1, max: 4 }),
      batch: fc.integer({ min: 3, max: 12 }),
      ledger: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(plan, async (p) => {
        const failed = new Set<number>()
        const order: number[] = []
        const problems: string[] = []
        let durable = 0n
        let last = 0n
        const loop = stageLoop({
          assignment: fakeAssignment({ ledger: p.ledger ? 0n : null }),
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
          ...(p.ledger && {
            flush: async (one) => {
              one.ledger = one.watermark.next()
              durable = one.ledger > durable ? one.ledger : durable
            },
          }),
        })
        const { clock, intake, scheduler, consumer, own, runs } = loop
        let { assignment } = loop
        for (const { atMs, forMs, reason } of p.pauses)
          clock.after(atMs, () => scheduler.pause(partition(), reason, forMs))
        for (const atMs of p.rebalances)
          clock.after(atMs, () => {
            assignment.alive = false
            runs.closeLost()
            assignment = fakeAssignment({ start: last, ledger: p.ledger ? durable : null })
            own(assignment)
          })
        const commit = async (offset: bigint) => {
          const how = p.commits.next().value as string
          if (how === 'slow') await new Promise<void>((resolve) => void clock.after(700, resolve))
          if (how === 'fails') throw new Error('coordinator is loading')
          if (p.ledger && offset > durable) problems.push(`commit ${offset} past the ledger`)
          for (let below = 0; below < Number(offset); below += 1)
            if (!order.includes(below)) problems.push(`commit ${offset} before ${below} was settled`)
          last = offset > last ? offset : last
        }
        for (let round = 0; round < 800 && last < BigInt(COUNT); round += 1) {
          const position = Number(assignment.position)
          if (consumer.paused.size === 0 && position < COUNT) {
            const messages = Array.from({ length: Math.min(p.batch, COUNT - position) }, (_, index) => {
              const page = p.pages[position + index]!
              const tenant = p.tenants[page as 'a']
              return { offset: position + index, key: tenant, value: value(page, tenant) }
            })
            await intake(fakePayload({ messages, highWatermark: COUNT, commit }).payload)
          }
          await clock.advance(100)
        }
        if (last !== BigInt(COUNT)) problems.push(`stalled at ${last}`)
        if (p.rebalances.length === 0 && new Set(order).size !== order.length) problems.push('settled twice')
        for (const page of new Set(p.pages)) {
          const mine = [...new Set(order.filter((offset) => p.pages[offset] === page))]
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

void t.test('a commit answered with a rebalance makes the next batch ask to join again, once', async (t) => {
  const rebalancing = Object.assign(new Error('rebalancing'), { type: 'REBALANCE_IN_PROGRESS' })
  const { take, intake, settled } = stageLoop()
  const refused = () => {
    throw rebalancing
  }
  await take(fakePayload({ messages: pages('a'), commit: refused }).payload)
  const next = fakePayload({ messages: [{ offset: 1, value: value('b') }] })
  await t.rejects(intake(next.payload), rebalancing)
  await take(next.payload)
  t.strictSame(settled, [0n, 1n])
})

void t.test('two tenants with one URL do not hold up each other, whichever of them waits', async (t) => {
  const { handle, started, end, fail } = heldHandlers()
  const { intake, clock, breakers, state, runs } = stageLoop({ handle })
  breakers.embeddings.set('open')
  const messages = ['one', 'two'].map((tenant, offset) => ({ offset, key: tenant, value: value('same', tenant) }))
  await intake(fakePayload({ messages }).payload)
  await clock.settle()
  t.strictSame(started, [0, 1], 'they run beside each other')
  await fail(clock, 0, away)
  await fail(clock, 1, away)
  state.pausedTenants.add('one')
  breakers.embeddings.set('closed')
  runs.kickAll()
  await clock.advance(100)
  t.strictSame(started, [0, 1, 1])
  await end(clock, 1)
})

void t.test('a partition claimed anew while its window was full is fetched again', async (t) => {
  const { handle } = heldHandlers()
  const { intake, clock, scheduler, assignment, runs } = stageLoop({ handle })
  const names = Array.from({ length: WINDOW.maxRecords }, (_, index) => `p${index}`)
  await intake(fakePayload({ messages: pages(...names) }).payload)
  await clock.settle()
  t.ok(scheduler.isPaused(partition()))
  assignment.alive = false
  runs.closeLost()
  await clock.advance(100)
  t.notOk(scheduler.isPaused(partition()))
})

void t.test('what an outage put back and a rebalance took away is forgotten in a while', async (t) => {
  const { handle, end } = heldHandlers()
  const down = new DependencyUnavailable('postgres', 'away')
  const { intake, clock, assignment, runs, inHand, breakers } = stageLoop({
    handle,
    settle: () => Promise.reject(down),
  })
  breakers.postgres.set('open')
  await intake(fakePayload({ messages: pages('a') }).payload)
  await clock.settle()
  await end(clock, 0)
  t.equal(inHand.size, 1)
  assignment.alive = false
  runs.closeLost()
  await clock.advance(60_000)
  t.equal(inHand.size, 0)
})

void t.test(
  'a record that stands at a gate past its deadline is not failed; one that hangs beside it is',
  async (t) => {
    const outcomes: string[] = []
    const passes = deferred()
    const { intake, clock, runs } = stageLoop({
      handle: async (_record, offset) => {
        await (offset === 0 ? whileHeld(() => passes.promise) : new Promise(() => {}))
        await new Promise<void>((resolve) => void clock.after(30_000, resolve))
        return done
      },
      settle: async (outcome, { offset }) => {
        outcomes.push(`${offset} ${outcome.kind}`)
        return ''
      },
    })
    await intake(fakePayload({ messages: pages('held', 'hangs') }).payload)
    await clock.advance(44_999)
    t.strictSame(outcomes, [])
    t.equal(runs.longestWorkMs(), 44_999)
    await clock.advance(1)
    t.strictSame(outcomes, ['1 retry'])
    await clock.advance(600_000)
    t.equal(runs.longestWorkMs(), 0)
    passes.resolve()
    await clock.advance(30_000)
    t.strictSame(outcomes, ['1 retry', '0 done'], 'once let through it has all of its time')
  },
)

void t.test(
  'a due time that a foreign clock set far ahead is waited for no longer than the longest delay',
  async (t) => {
    const assignment = fakeAssignment({ at: partition(0, 'pages.crawled.retry') })
    const { take, clock, settled } = stageLoop({ assignment })
    const headers = { 'sluice-due-ms': String(clock.now() + 86_400_000) }
    await take(fakePayload({ at: assignment.at, messages: [{ offset: 0, value: value('a'), headers }] }).payload)
    await clock.advance(59_000)
    t.strictSame(settled, [])
    await clock.advance(1_000)
    t.strictSame(settled, [0n])
  },
)

void t.test(
  'a shorter batch that was fetched earlier and is handed in later does not move the position back',
  async (t) => {
    const { take, assignment, settled } = stageLoop()
    await take(fakePayload({ messages: pages('a', 'b', 'c') }).payload)
    await take(fakePayload({ messages: pages('a', 'b'), highWatermark: 3 }).payload)
    t.equal(assignment.position, 3n)
    t.strictSame(settled, [0n, 1n, 2n])
  },
)

void t.test('the probe is not held up by a record of before the outage that hangs', async (t) => {
  const { handle, started, fail } = heldHandlers()
  const { intake, clock, breakers } = stageLoop({ handle })
  await intake(fakePayload({ messages: pages('hangs', 'b') }).payload)
  await clock.settle()
  breakers.embeddings.set('open')
  await fail(clock, 1, away)
  breakers.embeddings.set('half-open', true)
  await clock.advance(100)
  t.strictSame(started, [0, 1, 1])
})

void t.test('batches of control records alone are passed and committed; those before a gap are not', async (t) => {
  const { passed, clock, assignment, take } = stageLoop()
  const { payload, committed } = fakePayload({ messages: pages('a') })
  await take(payload)
  const batch = (firstOffset: number, lastOffset: number) => ({
    ...{ ...partition(), batchSize: 0, highWatermark: '9', firstOffset: `${firstOffset}`, lastOffset: `${lastOffset}` },
  })
  passed(batch(5, 8))
  t.equal(assignment.position, 1n)
  passed(batch(1, 2))
  await clock.advance(300)
  t.strictSame([assignment.position, committed], [3n, [1n, 3n]])
})

void t.test('what records wait for before they are begun is told, and when one was settled last', async (t) => {
  const assignment = fakeAssignment({ at: partition(0, 'pages.crawled.retry') })
  const { take, clock, runs, state } = stageLoop({ assignment })
  const told = () => runs.stateOf(assignment)
  state.pausedTenants.add('flood')
  const startedMs = clock.now()
  const later = { 'sluice-due-ms': String(startedMs + 60_000) }
  const messages: FakeMessage[] = [
    { offset: 0, value: value('a'), headers: later },
    { offset: 1, value: value('b', 'flood'), key: 'flood' },
  ]
  await take(fakePayload({ at: assignment.at, messages }).payload)
  t.strictSame([...told().waits].sort(), ['operator', 'retry-due'])
  t.match(told(), { inFlight: 0, longestWorkMs: 0, movedMs: startedMs })
  state.pausedTenants.clear()
  runs.kickAll()
  await clock.advance(1_000)
  t.strictSame(told().waits, ['retry-due'])
  t.ok(told().movedMs! > startedMs)
  await clock.advance(60_000)
  t.strictSame(told().waits, [])
})
