import fc from 'fast-check'
import t from 'tap'
import { CATCH_UP_MS, createRate } from './rate.ts'

/** A hand that moves the time, and a rate that can be changed. */
function setup(perSecond: number) {
  const state = { nowMs: 1_700_000_000_000, perSecond }
  const clock = { now: () => state.nowMs, after: () => () => {} }
  const rate = createRate({ clock, perSecond: () => state.perSecond })
  const wait = () => rate.waitMs(state.nowMs)
  const change = (to: number) => {
    state.perSecond = to
    wait()
  }
  return { state, rate, wait, change }
}

void t.test('one leaves at once, the next after 1 / rate; a long rest makes no burst', async (t) => {
  const { state, rate, wait } = setup(10)
  t.equal(wait(), 0)
  rate.take(1)
  t.equal(Math.round(wait()), 100)
  state.nowMs += 3_600_000
  t.equal(wait(), 0)
  rate.take(1)
  t.equal(Math.round(wait()), 100)
})

void t.test('a large request leaves when the line is free and then holds it for its whole cost', async (t) => {
  const { state, rate, wait } = setup(5000)
  t.equal(wait(), 0)
  rate.take(30_000)
  t.equal(Math.round(wait()), 6000)
  state.nowMs += 6000
  t.equal(wait(), 0)
})

void t.test('the lateness of one who waited is made good, up to the catch-up', async (t) => {
  for (const [lateMs, nextMs] of [
    [30, 70],
    [80, 20],
    [250, 100 - CATCH_UP_MS],
  ] as const) {
    const { state, rate, wait } = setup(10)
    rate.take(1)
    rate.expect(state.nowMs + wait())
    state.nowMs += 100 + lateMs
    t.equal(wait(), 0)
    rate.take(1)
    t.equal(Math.round(wait()), nextMs, `${lateMs} ms late`)
  }
})

void t.test('lateness is forgotten when nobody waits any more', async (t) => {
  const { state, rate, wait } = setup(10)
  rate.take(1)
  rate.expect(state.nowMs + wait())
  state.nowMs += 180
  rate.expect(null)
  rate.take(1)
  t.equal(Math.round(wait()), 100)
})

void t.test('when the rate changes in the middle of a wait, the rest of the wait scales with it', async (t) => {
  const { state, wait, rate, change } = setup(10)
  rate.take(1)
  state.nowMs += 50
  change(5)
  t.equal(Math.round(wait()), 100)
  state.nowMs += 50
  change(50)
  t.equal(Math.round(wait()), 5)
  change(0)
  t.equal(wait(), Infinity)
  state.nowMs += 60_000
  t.equal(wait(), Infinity)
  change(1)
  t.equal(Math.round(wait()), 250)
  change(Infinity)
  t.equal(wait(), 0)
  rate.take(1_000_000)
  t.equal(wait(), 0)
})

void t.test('what was not sent frees the line, and never for more than one', async (t) => {
  const { rate, wait } = setup(10)
  rate.take(10)
  rate.giveBack(10)
  t.equal(wait(), 0)
  rate.giveBack(10)
  rate.take(1)
  t.equal(Math.round(wait()), 100)
})

void t.test('a clock that is set back holds nobody up for longer than it would have been', async (t) => {
  const { state, rate, wait } = setup(10)
  rate.take(1)
  state.nowMs -= 3_600_000
  t.equal(Math.round(wait()), 100)
  state.nowMs += 100
  t.equal(wait(), 0)
})

void t.test(
  'in no window is more taken than rate × (window + catch-up) + 1, whatever the moments asked at',
  async () => {
    const step = fc.record({ lateMs: fc.integer({ min: 0, max: 400 }), waits: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 80 }),
        fc.constantFrom(3, 10, 40, 200),
        (steps, perSecond) => {
          const { state, rate, wait } = setup(perSecond)
          const taken: number[] = []
          for (const { lateMs, waits } of steps) {
            const ms = wait()
            rate.expect(waits ? state.nowMs + ms : null)
            state.nowMs += Math.ceil(ms) + lateMs
            while (wait() === 0) {
              rate.take(1)
              taken.push(state.nowMs)
            }
          }
          return taken.every((from, first) =>
            taken
              .slice(first)
              .every((to, more) => more + 1 <= (perSecond * (to - from + CATCH_UP_MS)) / 1000 + 1 + 1e-6),
          )
        },
      ),
      { numRuns: 100 },
    )
  },
)
