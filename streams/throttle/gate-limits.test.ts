import fc from 'fast-check'
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { ask, fakeBudget, lateTimers } from './gate-fakes.ts'
import { createGate } from './gate.ts'
import { seeded } from './seeded.ts'
import type { Release } from './ports.ts'

const WINDOW_MS = 10_000

/** Peak ÷ mean of the arrivals in windows that slide by a quarter. */
function peakToMean(times: readonly number[], windowMs: number): number {
  const [from, to] = [times[0]!, times.at(-1)!]
  const counts: number[] = []
  for (let start = from; start + windowMs <= to; start += windowMs / 4)
    counts.push(times.filter((at) => at >= start && at < start + windowMs).length)
  return Math.max(...counts) / (counts.reduce((a, b) => a + b, 0) / counts.length)
}

void t.test('a rate is kept in every window of 10 s and used up, with timers up to 50 ms late', async () => {
  const setting = fc.record({
    perSecond: fc.constantFrom(2, 7, 20, 60),
    seed: fc.nat(),
    costs: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(setting, async ({ perSecond, seed, costs }) => {
      const fake = createFakeClock()
      const random = seeded(seed)
      const gate = createGate({
        name: 'test',
        clock: lateTimers(fake, 50, random),
        budgets: [fakeBudget('rate', perSecond)],
      })
      const passed: { atMs: number; cost: number }[] = []
      const startMs = fake.now()
      const count = Math.ceil((perSecond * 15) / (costs.reduce((a, b) => a + b) / costs.length))
      let total = 0
      for (let n = 0; n < count; n += 1) {
        const cost = costs[n % costs.length]!
        total += cost
        void gate.acquire(ask(`tenant-${n % 3}`, { takes: { rate: cost } })).then(() => {
          passed.push({ atMs: fake.now(), cost })
        })
      }
      await fake.advance(60_000)
      const drainMs = passed.at(-1)!.atMs - startMs
      // The last one only holds the line for those after it.
      const inTime = drainMs <= 1.05 * ((total * 1000) / perSecond) + 50
      return passed.length === count && inTime && windowsHold(passed, perSecond)
    }),
    { numRuns: 25 },
  )
})

/** The burst of one is of the cost of that one: the last of a window only leaves, and is paid for after it. */
function windowsHold(passed: readonly { atMs: number; cost: number }[], perSecond: number): boolean {
  return passed.every(({ atMs }, first) => {
    let sum = 0
    return passed.slice(first).every((each) => {
      if (each.atMs - atMs > WINDOW_MS) return true
      const fits = sum <= perSecond * (WINDOW_MS / 1000) * 1.02 + 1
      sum += each.cost
      return fits
    })
  })
}

for (const perSecond of [5, 10, 50])
  void t.test(`${perSecond} a second arrive evenly though timers are up to 20 ms late`, async (t) => {
    const fake = createFakeClock()
    const gate = createGate({
      name: 'test',
      clock: lateTimers(fake, 20, seeded(perSecond)),
      budgets: [fakeBudget('rate', perSecond)],
    })
    const times: number[] = []
    for (let n = 0; n < perSecond * 30; n += 1)
      void gate.acquire(ask('a')).then((release) => {
        times.push(fake.now())
        release({ kind: 'ok', latencyMs: 1 })
      })
    await fake.advance(31_000)
    const windowMs = Math.max(1000, (10 / perSecond) * 1000)
    t.ok(peakToMean(times, windowMs) <= 1.2, `peak/mean ${peakToMean(times, windowMs)}`)
    t.equal(times.length, perSecond * 30)
  })

void t.test('two rates of one pace lose nothing to lateness', async (t) => {
  const fake = createFakeClock()
  const budgets = [fakeBudget('rate', 10, { name: 'requests' }), fakeBudget('rate', 5000, { name: 'tokens' })]
  const gate = createGate({ name: 'test', clock: lateTimers(fake, 20, seeded(1)), budgets })
  let passed = 0
  for (let n = 0; n < 400; n += 1)
    void gate.acquire(ask('a', { takes: { requests: 1, tokens: 500 } })).then(() => (passed += 1))
  await fake.advance(30_000)
  t.ok(passed >= 0.97 * 300, `${passed} in 30 s`)
})

void t.test('never more in flight than the slots, while they rise and fall; and none is left unused', async () => {
  const step = fc.record({
    what: fc.constantFrom('acquire', 'acquire', 'acquire', 'try', 'release', 'release', 'budget', 'abort'),
    pick: fc.nat(1000),
    allowed: fc.integer({ min: 0, max: 6 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
      const clock = createFakeClock()
      const budget = fakeBudget('slots', 3, { total: 6 })
      const gate = createGate({ name: 'test', clock, budgets: [budget], localSlots: 5 })
      const releases: Release[] = []
      const waiting = new Set<AbortController>()
      let sound = true
      const passes = (release: Release, limitThen: number) => {
        releases.push(release)
        if (gate.figures().inFlight > limitThen) sound = false
      }
      for (const { what, pick, allowed } of steps) {
        const limit = Math.min(budget.allowed(), 5)
        const before = gate.figures().inFlight
        if (what === 'acquire') {
          const controller = new AbortController()
          waiting.add(controller)
          gate
            .acquire(ask(`tenant-${pick % 3}`), controller.signal)
            .then((release) => {
              waiting.delete(controller)
              releases.push(release)
            })
            .catch(() => waiting.delete(controller))
        }
        if (what === 'try') {
          const release = gate.tryAcquire(ask(`tenant-${pick % 3}`))
          if (release) passes(release, limit)
        }
        if (what === 'release' && releases.length > 0) {
          const [release] = releases.splice(pick % releases.length, 1)
          release!({ kind: 'ok', latencyMs: 1 })
          release!({ kind: 'ok', latencyMs: 1 }) // twice is harmless
        }
        if (what === 'budget') budget.set(allowed)
        if (what === 'abort') [...waiting][pick % Math.max(1, waiting.size)]?.abort(new Error('gone'))
        const after = gate.figures().inFlight
        if (after > before && after > Math.min(budget.allowed(), 5)) sound = false
        await clock.settle()
        const { inFlight, waiting: inLine } = gate.figures()
        if (inFlight !== releases.length || inLine !== waiting.size) sound = false
        if (inLine > 0 && inFlight < Math.min(budget.allowed(), 5)) sound = false
      }
      return sound
    }),
    { numRuns: 60 },
  )
})

void t.test('one tenant that floods does not hold the others up for more than a round', async (t) => {
  const clock = createFakeClock()
  const gate = createGate({ name: 'test', clock, budgets: [fakeBudget('rate', 100)] })
  for (let n = 0; n < 5000; n += 1) void gate.acquire(ask('flood', { cost: 500 })).catch(() => {})
  await clock.advance(1000)
  const waits: number[] = []
  for (let n = 0; n < 20; n += 1) {
    const fromMs = clock.now()
    void gate.acquire(ask('quiet', { cost: 500 })).then(() => waits.push(clock.now() - fromMs))
    await clock.advance(500)
  }
  t.equal(waits.length, 20)
  t.ok(Math.max(...waits) <= 60, `${Math.max(...waits)} ms`)
})

void t.test("a tenant's own limit holds only that tenant, and is kept itself", async (t) => {
  const fake = createFakeClock()
  const tenants = { ratesOf: (id: string) => (id === 'slow' ? { rate: 2 } : undefined) }
  const gate = createGate({
    name: 'test',
    clock: lateTimers(fake, 20, seeded(3)),
    budgets: [fakeBudget('rate', 50)],
    tenants,
  })
  const counts = { slow: 0, other: 0 }
  for (let n = 0; n < 1000; n += 1) {
    void gate.acquire(ask('slow')).then(() => (counts.slow += 1)).catch(() => {}) // prettier-ignore
    void gate.acquire(ask('other')).then(() => (counts.other += 1)).catch(() => {}) // prettier-ignore
  }
  await fake.advance(10_000)
  t.ok(counts.slow >= 20 && counts.slow <= 21, `slow ${counts.slow}`)
  t.ok(counts.slow + counts.other >= 0.99 * 500 && counts.slow + counts.other <= 511, `other ${counts.other}`)
  gate.close()
  await fake.settle()
  t.equal(fake.pending(), 0)
})
