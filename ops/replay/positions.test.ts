import fc from 'fast-check'
import t from 'tap'
import { parsePosition } from './positions.ts'
import { createRecordCount } from './record-count.ts'

const now = Date.parse('2026-02-01T12:00:00Z')

void t.test('an offset, a time, how long ago, the beginning, now', async (t) => {
  const parse = (text: string) => parsePosition(text, '--from', now)
  t.strictSame(parse('0'), { kind: 'offset', offset: 0n })
  t.strictSame(parse('9007199254740993'), { kind: 'offset', offset: 9007199254740993n })
  t.strictSame(parse('beginning'), { kind: 'beginning' })
  t.strictSame(parse('now'), { kind: 'now' })
  t.strictSame(parse('2026-01-31'), { kind: 'time', ms: Date.parse('2026-01-31T00:00:00Z') })
  t.strictSame(parse('2026-01-31T09:30+01:00'), { kind: 'time', ms: Date.parse('2026-01-31T08:30:00Z') })
  t.strictSame(parse('6h'), { kind: 'time', ms: Date.parse('2026-02-01T06:00:00Z') })
  t.strictSame(parse('2d'), { kind: 'time', ms: Date.parse('2026-01-30T12:00:00Z') })
})

void t.test('a time without a zone is another moment on another machine: refused, as all that is none', async (t) => {
  for (const text of ['2026-01-31T09:30', '2026-13-01', '-1', '1.5', '', 'yesterday', '3w', '0x10', 'Now'])
    t.throws(() => parsePosition(text, '--to', now), { name: 'UserError', exitCode: 2, message: /^--to: / }, text)
})

void t.test('records below an offset: each once, in whatever order and however often they come', async () => {
  const offsets = fc.array(fc.bigInt({ min: 0n, max: 60n }), { maxLength: 60 })
  fc.assert(
    fc.property(offsets, fc.bigInt({ min: 0n, max: 30n }), fc.bigInt({ min: 0n, max: 60n }), (noted, next, folded) => {
      const count = createRecordCount([{ partition: 3, next, records: 7 }])
      for (const offset of noted) count.note(3, offset)
      const model = (below: bigint) => 7 + new Set(noted.filter((offset) => offset >= next && offset < below)).size
      if (count.below(3, folded) !== model(folded)) return false
      count.fold(3, folded)
      for (const offset of noted) count.note(3, offset) // delivered again
      return count.below(3, 100n) === model(100n) && count.below(4, 100n) === 0
    }),
  )
})
