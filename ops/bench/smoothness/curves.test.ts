import fc from 'fast-check'
import t from 'tap'
import { inFlight } from './analysis.ts'
import { highest, loadCurve, rateCurve, ticks } from './curves.ts'

t.test('an even flow is a level line at its rate, up to both ends', async (t) => {
  const arrivals = Array.from({ length: 200 }, (_, index) => ({ atMs: index * 100, weight: 1 }))
  for (const [, rate] of rateCurve(arrivals, 0, 20_000)) t.ok(Math.abs(rate - 10) <= 1, `${rate}`)
})

t.test('weights are what is counted', async (t) => {
  const arrivals = Array.from({ length: 20 }, (_, index) => ({ atMs: 500 + index * 1_000, weight: 3 }))
  t.equal(rateCurve(arrivals, 0, 20_000, 10)[5]?.[1], 3)
})

t.test('the curve of what is in flight reaches its peak however short that is', async () => {
  const spans = fc.array(
    fc.tuple(fc.nat(9_000), fc.integer({ min: 1, max: 900 })).map(([startMs, forMs]) => ({
      startMs,
      endMs: startMs + forMs,
    })),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(spans, fc.integer({ min: 1, max: 400 }), (list, points) => {
      return highest(loadCurve(list, 0, 10_000, points)) === inFlight(list).most
    }),
  )
})

t.test('ticks are round, rise from 0 and cover what is asked for', async () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 1e6, noNaN: true }), fc.integer({ min: 2, max: 8 }), (most, wanted) => {
      const values = ticks(most, wanted)
      const step = values[1]!
      const digit = +(step / 10 ** Math.floor(Math.log10(step) + 1e-9)).toFixed(6)
      return (
        values[0] === 0 &&
        values.at(-1)! >= most * (1 - 1e-9) &&
        [1, 2, 5].includes(digit) &&
        values.length <= wanted + 2
      )
    }),
  )
})
