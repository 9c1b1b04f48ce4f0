import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { ask, fakeBudget } from './gate-fakes.ts'
import type { FakeBudget } from './gate-fakes.ts'
import { createGate } from './gate.ts'
import type { AdaptiveLimit, Ask, Feedback, Release, WaitReason } from './ports.ts'

function setup(budgets: FakeBudget[], rest: Partial<Parameters<typeof createGate>[0]> = {}) {
  const clock = createFakeClock()
  const gate = createGate({ name: 'embeddings', clock, budgets, random: () => 0.5, ...rest })
  const passed: { tenant: string; atMs: number; release: Release }[] = []
  const errors: unknown[] = []
  const startMs = clock.now()
  const acquire = (tenant: string, given?: Partial<Ask>, signal?: AbortSignal) =>
    gate
      .acquire(ask(tenant, given), signal)
      .then((release) => void passed.push({ tenant, atMs: clock.now() - startMs, release }))
      .catch((error: unknown) => void errors.push(error))
  return { clock, gate, passed, errors, acquire, order: () => passed.map(({ tenant }) => tenant).join(' ') }
}
function fakeLimit(value: number) {
  const samples: [Feedback, number][] = []
  const state = { limit: value, restarts: 0 }
  const adaptive: AdaptiveLimit = {
    limit: () => state.limit,
    sample: (feedback, inFlight) => void samples.push([feedback, inFlight]),
    restart: () => {
      state.restarts += 1
      state.limit = 1
    },
  }
  return { adaptive, state, samples }
}
const ok: Feedback = { kind: 'ok', latencyMs: 10 }

void t.test('without limits everything passes at once', async (t) => {
  const { gate } = setup([])
  const releases = Array.from({ length: 100 }, () => gate.tryAcquire(ask('a')))
  t.ok(releases.every(Boolean))
  t.match(gate.figures(), { inFlight: 100, limit: null, waiting: 0, oldestWaitMs: 0 })
  for (const release of releases) release!()
  t.equal(gate.figures().inFlight, 0)
})

void t.test('a trial never passes by somebody who waits', async (t) => {
  const { gate, passed, acquire, clock } = setup([fakeBudget('slots', 1)])
  const release = gate.tryAcquire(ask('a'))!
  void acquire('b')
  release()
  t.equal(gate.tryAcquire(ask('c')), undefined)
  await clock.settle()
  t.equal(passed.length, 1)

  const shared = setup([fakeBudget('rate', 1)])
  for (let n = 0; n < 2; n += 1) void shared.acquire('a')
  t.equal(shared.gate.tryAcquire(ask('c', { takes: {} })), undefined, 'nor if what holds that one does not concern it')
})

void t.test("a trial keeps to its tenant's own limit, and only to that", async (t) => {
  const { gate } = setup([], { tenants: { ratesOf: (id) => (id === 'a' ? { rate: 1 } : undefined) } })
  t.ok(gate.tryAcquire(ask('a')))
  t.equal(gate.tryAcquire(ask('a')), undefined)
  t.same(gate.waitMs(ask('a')), { ms: 1000, reason: 'tenant' })
  t.ok(gate.tryAcquire(ask('b')))
})

void t.test('a rest makes no credit for a tenant that had to wait before it', async (t) => {
  const { gate, acquire, clock } = setup([], { tenants: { ratesOf: () => ({ rate: 50 }) } })
  for (let n = 0; n < 3; n += 1) void acquire('a')
  await clock.advance(10_000)
  t.ok(gate.tryAcquire(ask('a')))
  t.equal(gate.tryAcquire(ask('a')), undefined)
})

void t.test('who is aborted in line gets the reason and leaves the others in order', async (t) => {
  const { gate, acquire, clock, errors, order } = setup([fakeBudget('slots', 1)])
  const release = gate.tryAcquire(ask('a'))!
  const controller = new AbortController()
  void acquire('b', {}, controller.signal)
  void acquire('c')
  controller.abort(new Error('deadline'))
  release()
  await clock.settle()
  t.equal(order(), 'c')
  t.match(errors, [{ message: 'deadline' }])
  await t.rejects(gate.acquire(ask('d'), AbortSignal.abort(new Error('before'))), { message: 'before' })
})

void t.test('a budget that grows lets the waiting pass at once', async (t) => {
  const rate = fakeBudget('rate', 0, { total: 10 })
  const slots = fakeBudget('slots', 0)
  const { acquire, clock, passed } = setup([rate, slots])
  for (let n = 0; n < 3; n += 1) void acquire('a')
  await clock.advance(5000)
  t.equal(passed.length, 0)
  slots.set(3)
  await clock.advance(5000)
  t.equal(passed.length, 0)
  rate.set(10)
  await clock.advance(100)
  t.equal(passed.length, 2)
})

void t.test('what is held up by a part of a budget asks for more of it', async (t) => {
  for (const kind of ['rate', 'slots'] as const) {
    const part = fakeBudget(kind, 1, { total: 4 })
    const whole = fakeBudget(kind, 1, { total: 1 })
    for (const budget of [part, whole]) {
      const { acquire, clock } = setup([budget])
      void acquire('a')
      await clock.settle()
      t.equal(budget.hungryCalls(), 0)
      void acquire('a')
      await clock.settle()
      t.equal(budget.hungryCalls() > 0, budget === part, `${kind} of ${budget.total()}`)
    }
  }
})

void t.test('a budget that answers hunger at once is used at once', async (t) => {
  const slots: FakeBudget = fakeBudget('slots', 0, {
    total: 2,
    onHungry: () => slots.hungryCalls() > 1 && slots.set(2),
  })
  const { acquire, clock, passed } = setup([slots])
  void acquire('a')
  await clock.settle()
  t.equal(passed.length, 1)
})

void t.test('it tells a rate what it wants: all while somebody waits, else a quarter above its use', async (t) => {
  const rate = fakeBudget('rate', 10)
  const { gate, acquire, clock } = setup([rate])
  t.equal(rate.demand().want(), 0)
  for (let n = 0; n < 30; n += 1) void acquire('a')
  await clock.advance(1000)
  t.equal(rate.demand().want(), Infinity)
  await clock.advance(2000)
  t.equal(rate.demand().want(), Infinity) // of a moment ago
  const want = rate.demand().want()
  t.ok(want > 8 && want < 13, `wants ${want}`)
  await clock.advance(10_000)
  t.ok(rate.demand().want() < 0.2)
  t.ok(gate.tryAcquire(ask('a')))
  t.equal(gate.tryAcquire(ask('a')), undefined)
  t.equal(rate.demand().want(), Infinity)
})

void t.test('it tells a budget of slots what it could use, and every budget how many tenants there are', async (t) => {
  const slots = fakeBudget('slots', 2)
  const { adaptive, state } = fakeLimit(50)
  const { gate, acquire, clock, passed } = setup([slots], { adaptive, localSlots: 9 })
  for (let n = 0; n < 4; n += 1) void acquire('a')
  void acquire('b', { lane: 'replay' })
  void acquire('a', { lane: 'replay' })
  await clock.settle()
  const { want, inUse, weight } = slots.demand()
  t.same([want(), inUse(), weight()], [6, 2, 1])
  for (let n = 0; n < 40; n += 1) void acquire('c')
  t.same([want(), weight()], [9, 2])
  state.limit = 3
  t.equal(want(), 6)
  gate.close()
  await clock.settle()
  for (const { release } of passed) release()
  t.same([want(), inUse(), weight()], [0, 0, 0])
  t.equal(slots.listeners(), 0)
})

void t.test('nothing leaves during a cooldown; the longer hold wins, then the limit starts again', async (t) => {
  const { adaptive, state } = fakeLimit(10)
  const { gate, acquire, clock, passed } = setup([], { adaptive })
  gate.cooldown(60_000)
  gate.cooldown(1000)
  for (let n = 0; n < 5; n += 1) void acquire('a')
  await clock.advance(60_100)
  t.equal(passed.length, 0)
  t.equal(state.restarts, 0)
  t.equal(gate.tryAcquire(ask('b')), undefined)
  await clock.advance(25)
  t.equal(passed.length, 1) // 0.5 × 250 ms after the end
  t.equal(state.restarts, 1)
  t.equal(gate.figures().waitedMs.cooldown, 60_125)
})

void t.test('many answers of one cooldown do not add up their jitter', async (t) => {
  const chance = [0.1, 0.9, 0.9]
  const { gate, acquire, clock, passed } = setup([], { random: () => chance.shift()! })
  for (let n = 0; n < 3; n += 1) gate.cooldown(1000)
  void acquire('a')
  await clock.advance(1025)
  t.equal(passed.length, 1)
})

void t.test('an open circuit refuses all who wait and come; closed again, it starts slowly', async (t) => {
  const { adaptive, state } = fakeLimit(1)
  const { gate, acquire, clock, passed, errors } = setup([], { adaptive })
  for (let n = 0; n < 3; n += 1) void acquire('a')
  await clock.settle()
  gate.shut(() => new Error('away'))
  await acquire('b')
  t.match(errors, [{ message: 'away' }, { message: 'away' }, { message: 'away' }])
  t.equal(gate.tryAcquire(ask('a')), undefined)
  t.same(gate.waitMs(ask('a')), { ms: Infinity, reason: 'cooldown' })
  passed[0]!.release()
  gate.shut(null)
  gate.shut(null)
  void acquire('c')
  await clock.advance(124)
  t.equal(passed.length, 1)
  await clock.advance(1)
  t.equal(passed.length, 2)
  t.equal(state.restarts, 1)
})

void t.test('a half-open circuit lets one through at a time', async (t) => {
  const { gate, acquire, clock, passed } = setup([fakeBudget('slots', 10)])
  gate.probing(true)
  for (let n = 0; n < 3; n += 1) void acquire('a')
  await clock.settle()
  t.equal(passed.length, 1)
  t.equal(gate.figures().limit, 1)
  passed[0]!.release(ok)
  await clock.settle()
  t.equal(passed.length, 2)
  gate.probing(false)
  await clock.settle()
  t.equal(passed.length, 3)
})

void t.test('requests of before the outage that hang do not hold the probe up', async (t) => {
  const { gate, acquire, clock, passed } = setup([fakeBudget('slots', 10)])
  for (let n = 0; n < 3; n += 1) void acquire('a')
  await clock.settle()
  gate.probing(true)
  for (let n = 0; n < 2; n += 1) void acquire('a')
  await clock.settle()
  t.equal(passed.length, 4)
  passed[0]!.release(ok)
  await clock.settle()
  t.equal(passed.length, 4, 'one probe at a time')
  passed[3]!.release(ok)
  await clock.settle()
  t.equal(passed.length, 5)
  gate.close()
})

void t.test('what was never sent gives its rates back, and a second release changes nothing', async (t) => {
  const tenants = { ratesOf: () => ({ rate: 1 }) }
  const { gate, clock } = setup([fakeBudget('rate', 1)], { tenants })
  const release = gate.tryAcquire(ask('a', { takes: { rate: 30 } }))!
  t.same(gate.waitMs(ask('b')), { ms: 30_000, reason: 'rate' })
  release({ kind: 'unsent', latencyMs: 0 })
  t.same(gate.waitMs(ask('a')), { ms: 0, reason: null })
  t.ok(gate.tryAcquire(ask('a')))
  release({ kind: 'unsent', latencyMs: 0 })
  t.equal(gate.tryAcquire(ask('a')), undefined)
  t.equal(gate.figures().inFlight, 1)
  await clock.settle()
})

void t.test('an answer reaches the adaptive limit with the number in flight when it left', async (t) => {
  const { adaptive, samples } = fakeLimit(10)
  const { gate } = setup([], { adaptive })
  const [first, second] = [gate.tryAcquire(ask('a'))!, gate.tryAcquire(ask('a'))!]
  first(ok)
  second({ ...ok, kind: 'throttled' })
  t.same(samples, [
    [ok, 1],
    [{ ...ok, kind: 'throttled' }, 2],
  ])
})

void t.test('waiting is counted by what held the first in line', async (t) => {
  const rate = fakeBudget('rate', 10)
  const seen: [WaitReason, number][] = []
  const tenants = { ratesOf: (id: string) => (id === 'slow' ? { rate: 1 } : undefined) }
  const { gate, acquire, clock, passed } = setup([rate], {
    localSlots: 2,
    tenants,
    onWait: (reason, ms) => seen.push([reason, ms]),
  })
  void acquire('slow')
  void acquire('a')
  void acquire('a')
  await clock.advance(100) // the rate
  await clock.advance(300) // the slots
  t.equal(gate.figures().oldestWaitMs, 400)
  passed[0]!.release(ok)
  passed[1]!.release(ok)
  void acquire('slow')
  await clock.advance(5000)
  t.equal(gate.figures().waiting, 0)
  t.same(gate.figures().waitedMs, { rate: 100, slots: 300, tenant: 600, adaptive: 0, cooldown: 0 })
  t.same(
    seen.reduce((sum, [, ms]) => sum + ms, 0),
    1000,
  )
})

void t.test('the estimate of a wait covers those before it, and a quiet tenant only waits for its round', async (t) => {
  const { gate, acquire } = setup([fakeBudget('rate', 10)])
  for (let n = 0; n < 101; n += 1) void acquire('flood')
  t.same(gate.waitMs(ask('flood')), { ms: 10_100, reason: 'rate' })
  t.same(gate.waitMs(ask('quiet')), { ms: 200, reason: 'rate' })
  gate.cooldown(60_000)
  t.same(gate.waitMs(ask('quiet')), { ms: 60_125, reason: 'cooldown' })
})

void t.test('a large request passes when its line is free, and the line then waits for all of it', async (t) => {
  const { acquire, clock, passed } = setup([fakeBudget('rate', 5000, { name: 'tokens' })])
  for (const tokens of [30_000, 10, 10]) void acquire('a', { takes: { tokens } })
  await clock.advance(7000)
  t.same(
    passed.map(({ atMs }) => atMs),
    [0, 6000, 6002],
  )
})

void t.test('a closed gate leaves no timer and refuses whoever waits or comes', async (t) => {
  const { gate, acquire, clock, errors } = setup([fakeBudget('rate', 1)])
  for (let n = 0; n < 3; n += 1) void acquire('a')
  await clock.settle()
  gate.close()
  gate.shut(null)
  await acquire('b')
  t.equal(errors.length, 3)
  t.match(errors[0], { message: 'The gate embeddings is closed' })
  t.equal(clock.pending(), 0)
})

void t.test('a wait longer than any timer, and a rate of nothing, leave no timer behind that spins', async (t) => {
  const { gate, acquire, clock } = setup([fakeBudget('rate', 0)])
  void acquire('a')
  await clock.settle()
  t.equal(clock.pending(), 0)
  gate.close()
})
