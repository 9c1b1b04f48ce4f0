import t from 'tap'
import { percentile, spread } from './spread.ts'

void t.test('a spread has the least, the middle and the greatest value, in whatever order they came', async (t) => {
  t.strictSame(spread([9, 1, 10]), { min: 1, median: 9, max: 10 })
  t.strictSame(spread([4, 1, 2, 3]), { min: 1, median: 2.5, max: 4 })
  t.throws(() => spread([]), RangeError)
})

void t.test('a percentile is a value that was measured, and as many as asked for do not exceed it', async (t) => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index)
  t.equal(percentile(values, 0.99), 99)
  t.equal(percentile(values, 1), 100)
  t.equal(percentile([7], 0.99), 7)
  t.throws(() => percentile([], 0.5), RangeError)
})
