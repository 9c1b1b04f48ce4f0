import t from 'tap'
import { unthrottledLag } from './rows.ts'
import type { LagRow } from './rows.ts'
import { byAge, columns, duration, summaries } from './table.ts'

const row = (given: Partial<LagRow>): LagRow => ({
  ...{ stage: 'chunker', group: 'sluice.chunker', topic: 'pages.processed', partition: 0, committed: 10, end: 15 },
  ...{ lag: 5, oldestAgeMs: 90_000, state: 'running', reasons: [], etaMs: 30_000 },
  ...given,
})

t.test('the figures come in the order in which they matter, and what waits longest on top', async (t) => {
  t.same(Object.keys(columns(row({}))).slice(0, 5), ['oldest', 'eta', 'lag', 'committed', 'end'])
  const rows = [
    row({ partition: 0, lag: 0, oldestAgeMs: null }),
    row({ partition: 1, oldestAgeMs: 1_000 }),
    row({ partition: 2, oldestAgeMs: null }),
    row({ partition: 3, oldestAgeMs: 5_000 }),
  ]
  t.same(
    byAge(rows).map(({ partition }) => partition),
    [3, 1, 2, 0],
  )
  t.match(columns(row({})), { oldest: '1.5 min', eta: '30 s' })
  t.match(columns(row({ lag: 0, oldestAgeMs: null, etaMs: 0 })), { oldest: null, eta: null })
})

t.test('a stage’s line tells age, end and what holds it', async (t) => {
  const rows = [
    row({}),
    row({ partition: 1, state: 'stalled', reasons: ['operator', 'no-member'], etaMs: null, lag: 2 }),
  ]
  const [crawler, , chunker] = summaries(rows)
  t.equal(crawler, 'crawler: nothing to do')
  t.match(chunker, /^chunker: oldest 1\.5 min, no end in sight, 7 to do; 1 .*stalled.* \(operator, no-member\)$/)
  t.match(summaries([row({})])[2], 'chunker: oldest 1.5 min, done in 30 s, 5 to do')
  const drained = row({ lag: 0, oldestAgeMs: null, state: 'paused', reasons: ['operator'] })
  t.match(summaries([drained])[2], /^chunker: nothing to do; 1 .*paused.* \(operator\)$/)
})

t.test('durations have two figures at most', async (t) => {
  const said = [0, 850, 4_200, 9_960, 59_000, 720_000, 12_600_000, 345_600_000].map(duration)
  t.same(said, ['0 ms', '850 ms', '4.2 s', '10 s', '59 s', '12 min', '3.5 h', '4 d'])
})

t.test(
  'what an autoscaler sees leaves out whatever is held on purpose or stuck, also when its owner is gone',
  async (t) => {
    const rows = [
      row({ lag: 1 }),
      row({ lag: 10, state: 'stalled', reasons: ['no-member'] }),
      row({ lag: 100, state: 'throttled' }),
      row({ lag: 1_000, state: 'paused' }),
      row({ lag: 10_000, state: 'stalled', reasons: ['operator', 'no-member'] }),
      row({ lag: 100_000, state: 'stalled', reasons: ['offset-guard'] }),
      row({ lag: 1_000_000, state: 'stalled', reasons: ['tenant', 'hung'] }),
      row({ lag: 20, reasons: ['offset-guard'] }),
    ]
    t.equal(unthrottledLag(rows), 31, 'one that only checks where to start is worked on in a moment')
  },
)
