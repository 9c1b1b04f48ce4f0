import fc from 'fast-check'
import t from 'tap'
import { createWatermark } from './watermark.ts'

/** Ascending offsets with gaps, and an order in which they finish. */
const runs = fc
  .uniqueArray(fc.integer({ min: 10, max: 60 }), { minLength: 1, maxLength: 25 })
  .map((offsets) => offsets.sort((a, b) => a - b))
  .chain((offsets) =>
    fc.record({
      offsets: fc.constant(offsets),
      order: fc.shuffledSubarray(offsets, { minLength: offsets.length }),
      cut: fc.nat({ max: offsets.length }),
    }),
  )

void t.test('the watermark never passes an offset that began and has not finished', async (t) => {
  fc.assert(
    fc.property(runs, ({ offsets, order, cut }) => {
      const watermark = createWatermark(10n)
      for (const offset of offsets) watermark.begin(BigInt(offset))
      const unfinished = new Set(offsets)
      for (const offset of order.slice(0, cut)) {
        const before = watermark.next()
        watermark.finish(BigInt(offset))
        unfinished.delete(offset)
        const next = watermark.next()
        if (next < before) return false
        for (const open of unfinished) if (BigInt(open) < next) return false
      }
      // Nor does it lag: the first unfinished one is all that may hold it.
      const firstOpen = offsets.find((offset) => unfinished.has(offset))
      const lastBelow = offsets.filter((offset) => firstOpen === undefined || offset < firstOpen).at(-1)
      return watermark.next() === (lastBelow === undefined ? 10n : BigInt(lastBelow) + 1n)
    }),
  )
  t.pass()
})

void t.test('nextWith foretells what next becomes when those offsets finish, and changes nothing', async (t) => {
  fc.assert(
    fc.property(runs, fc.nat(), ({ offsets, order, cut }, seed) => {
      const watermark = createWatermark(10n)
      for (const offset of offsets) watermark.begin(BigInt(offset))
      for (const offset of order.slice(0, cut)) watermark.finish(BigInt(offset))
      const together = order.slice(cut, cut + (seed % (order.length + 1))).map(BigInt)
      const before = watermark.next()
      const foretold = watermark.nextWith(new Set(together))
      if (watermark.next() !== before) return false
      for (const offset of together) watermark.finish(offset)
      return watermark.next() === foretold
    }),
  )
  t.pass()
})

void t.test(
  'a record that began in one slice and was left out is worked on in the next; a finished one is not',
  async (t) => {
    const watermark = createWatermark(5n)
    for (const offset of [5n, 6n, 7n]) t.ok(watermark.begin(offset))
    watermark.finish(6n)
    t.equal(watermark.next(), 5n)
    // The broker delivers from 5 again.
    t.ok(watermark.begin(5n))
    t.notOk(watermark.begin(6n))
    t.ok(watermark.begin(7n))
    watermark.finish(5n)
    t.equal(watermark.next(), 7n)
    t.notOk(watermark.begin(6n), 'below the watermark')
    watermark.finish(7n)
    t.equal(watermark.next(), 8n)
  },
)

void t.test('finishing an offset that never began moves nothing', async (t) => {
  const watermark = createWatermark(0n)
  watermark.finish(0n)
  t.equal(watermark.next(), 0n)
})

void t.test('passTo crosses control records, and no record that is unfinished', async (t) => {
  const watermark = createWatermark(0n)
  watermark.begin(0n)
  watermark.passTo(9n)
  t.equal(watermark.next(), 0n)
  watermark.finish(0n)
  watermark.passTo(3n)
  t.equal(watermark.next(), 3n)
  watermark.passTo(2n)
  t.equal(watermark.next(), 3n, 'never backwards')
})

void t.test(
  'thousands may be open at once, with gaps: what was passed is let go, and nothing else moves',
  async (t) => {
    const watermark = createWatermark(0n)
    const offsets = Array.from({ length: 5_000 }, (_, index) => BigInt(index + Math.floor(index / 7)))
    for (const offset of offsets) t.ok(watermark.begin(offset))
    // In blocks of 100, each from its end: the watermark moves once a block.
    for (let block = 0; block < offsets.length; block += 100) {
      const last = offsets[block + 99]!
      for (const offset of offsets.slice(block + 1, block + 100).reverse()) watermark.finish(offset)
      t.equal(watermark.next(), block === 0 ? 0n : offsets[block - 1]! + 1n)
      t.equal(watermark.nextWith(new Set([offsets[block]!])), last + 1n)
      watermark.finish(offsets[block]!)
      t.equal(watermark.next(), last + 1n)
      t.notOk(watermark.begin(last), 'passed')
    }
  },
)
