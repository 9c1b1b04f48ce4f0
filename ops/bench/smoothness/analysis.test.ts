import fc from 'fast-check'
import t from 'tap'
import {
  allowedWithin,
  fullestWindow,
  inFlight,
  overRate,
  peakToMean,
  percentile,
  recovery,
  windowMs,
} from './analysis.ts'

/** `perSecond` arrivals a second from `fromMs` on, at exact distances. */
const even = (perSecond: number, seconds: number, fromMs = 0) =>
  Array.from({ length: perSecond * seconds }, (_, index) => fromMs + (index * 1000) / perSecond)
const weighted = (times: readonly number[]) => times.map((atMs) => ({ atMs, weight: 1 }))
const limitOf = (perSecond: number) => [{ fromMs: 0, perSecond }]

const times = fc
  .array(fc.integer({ min: 0, max: 60_000 }), { minLength: 1, maxLength: 300 })
  .map((list) => list.toSorted((a, b) => a - b))
const spans = fc.array(
  fc.tuple(fc.nat(10_000), fc.nat(2_000)).map(([startMs, forMs]) => ({ startMs, endMs: startMs + forMs })),
  { maxLength: 80 },
)

t.test('an even flow has a peak of its mean, whatever the rate and the phase', async (t) => {
  const rates = fc.constantFrom(1, 2, 4, 5, 8, 10, 20, 50)
  fc.assert(
    fc.property(rates, fc.integer({ min: 0, max: 999 }), (perSecond, phase) => {
      const seconds = (3 * windowMs(perSecond)) / 1000
      const peak = peakToMean(even(perSecond, seconds, phase), phase, phase + seconds * 1000)
      t.ok(peak && Math.abs(peak.ratio - 1) < 1e-9, `${perSecond}/s from ${phase}`)
    }),
  )
})

t.test('windows hold ten arrivals on average and are a second long at least', async (t) => {
  t.same([1, 4, 10, 100].map(windowMs), [10_000, 2_500, 1_000, 1_000])
  t.equal(windowMs(0), Infinity)
})

t.test('a burst shows in the peak; what is outside of the stretch does not', async (t) => {
  const flow = even(10, 20)
  t.equal(peakToMean([...flow, ...Array<number>(100).fill(30_000)], 0, 20_000)?.ratio, 1)
  const burst = [...flow, ...Array<number>(10).fill(5_000)].sort((a, b) => a - b)
  t.match(peakToMean(burst, 0, 20_000), { ratio: 20 / 10.5, perSecond: 10.5 })
})

t.test('a stretch that is too short for two windows has no peak', async (t) => {
  t.equal(peakToMean(even(1, 15), 0, 15_000), null)
  t.equal(peakToMean([], 0, 60_000), null)
})

t.test('the fullest window is what counting every window would find', async () => {
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 5_000 }), (list, length) => {
      const counted = list.map((start) => list.filter((at) => at >= start && at < start + length).length)
      return fullestWindow(weighted(list), length).sum === Math.max(...counted)
    }),
  )
})

t.test('nothing is over a limit that the fullest window meets, and one less is exceeded', async () => {
  fc.assert(
    fc.property(times, (list) => {
      const most = fullestWindow(weighted(list), 10_000).sum
      const exact = overRate(weighted(list), limitOf(most / 10), 10_000)
      return Math.abs(exact) < 1e-9 && overRate(weighted(list), limitOf((most - 0.5) / 10), 10_000) > 0
    }),
  )
})

t.test('a limit that changes allows what it allowed while it held', async (t) => {
  const limits = [
    { fromMs: 1_000, perSecond: 10 },
    { fromMs: 5_000, perSecond: 2 },
    { fromMs: 8_000, perSecond: 20 },
  ]
  t.equal(allowedWithin(limits, 0, 5_000), 50, 'the first one holds before its time too')
  t.equal(allowedWithin(limits, 4_000, 9_000), 10 + 6 + 20)
  const halved = [...even(10, 5), ...even(5, 20, 5_000)]
  const steps = [
    { fromMs: 0, perSecond: 10 },
    { fromMs: 5_000, perSecond: 5 },
  ]
  // A window across the change begins with an arrival of the faster flow: one more than the limits' integral.
  t.ok(overRate(weighted(halved), steps, 10_000) < 0.01)
  t.ok(overRate(weighted(even(10, 20)), steps, 10_000) > 0.9, 'who does not follow is seen')
})

t.test('one request of any size may run ahead of a rate of tokens, two may not', async (t) => {
  const lumps = (everyMs: number) =>
    Array.from({ length: 10 }, (_, index) => ({ atMs: index * everyMs, weight: 3_000 }))
  t.equal(overRate(lumps(3_000), limitOf(1_000), 10_000, 1), 0)
  t.ok(overRate(lumps(3_000), limitOf(1_000), 10_000) > 0, 'counted whole it is over')
  t.ok(overRate(lumps(1_500), limitOf(1_000), 10_000, 1) > 0.5)
})

t.test('in flight is what counting at every start would find', async () => {
  fc.assert(
    fc.property(spans, (list) => {
      const at = (ms: number) => list.filter(({ startMs, endMs }) => startMs <= ms && ms < endMs).length
      // A span without length is in flight with those that are there, and makes room for the next.
      const lasting = list.filter(({ startMs, endMs }) => endMs > startMs)
      return inFlight(lasting).most === Math.max(0, ...lasting.map(({ startMs }) => at(startMs)))
    }),
  )
})

t.test('who leaves makes room at that very instant; who never ends stays', async (t) => {
  const relay = [0, 100, 200].map((startMs) => ({ startMs, endMs: startMs + 100 }))
  t.equal(inFlight(relay).most, 1)
  t.equal(inFlight([{ startMs: 0, endMs: null }, ...relay]).most, 2)
})

t.test('time above the limit is summed', async (t) => {
  const list = [
    { startMs: 0, endMs: 1_000 },
    { startMs: 100, endMs: 400 },
    { startMs: 200, endMs: 250 },
    { startMs: 900, endMs: 1_100 },
  ]
  t.match(inFlight(list, 1), { most: 3, atMs: 200, overMs: 300 + 100 })
  t.equal(inFlight(list, 3).overMs, 0)
})

t.test('a percentile is one of the values, by nearest rank', async (t) => {
  t.equal(percentile([5, 1, 4, 2, 3], 0.99), 5)
  t.equal(percentile([5, 1, 4, 2, 3], 0.5), 3)
  t.ok(Number.isNaN(percentile([], 0.5)))
})

t.test('recovery is measured to the first window from which on all are steady', async (t) => {
  // Nothing for 8 s, then as it should be.
  const late = recovery(even(10, 52, 8_000), 0, 60_000, 10)
  t.ok(late.afterMs !== null && late.afterMs >= 7_500 && late.afterMs <= 8_125, `after ${late.afterMs} ms`)
  t.equal(late.swings, 0)
  t.same(recovery(even(10, 60), 0, 60_000, 10), { afterMs: 0, swings: 0 })
})

t.test('a flow that ends too slow or too fast never recovers', async (t) => {
  t.equal(recovery(even(5, 60), 0, 60_000, 10).afterMs, null)
  t.equal(recovery(even(20, 60), 0, 60_000, 10).afterMs, null)
  t.equal(recovery([], 0, 60_000, 10).afterMs, null)
})

t.test('swings between too much and too little are counted, a single dip is none', async (t) => {
  const phases = (rates: readonly number[]) =>
    rates.flatMap((rate, index) => (rate === 0 ? [] : even(rate, 5, index * 5_000)))
  t.equal(recovery(phases([10, 20, 1, 20, 1, 10, 10]), 0, 35_000, 10).swings, 3)
  t.equal(recovery(phases([10, 10, 1, 10, 10, 10, 10]), 0, 35_000, 10).swings, 0)
  t.equal(recovery(phases([1, 30, 10, 10, 10, 10, 10]), 0, 35_000, 10).swings, 0, 'on the way to steady')
})
