import t from 'tap'
import { controlDefaults } from './control-state.ts'
import { closedFromStart, readBreaker, reduceBreaker, untilMs, writeBreaker } from './breaker-state.ts'
import type { BreakerRecord, BreakerState, Receipt } from './breaker-state.ts'

const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000
const live: Receipt = { nowMs: NOW_MS, timestampMs: NOW_MS, live: true }
const record = (kind: BreakerRecord['kind'], term: number, instance: string, rest: Partial<BreakerRecord> = {}) => ({
  ...{ kind, term, instance, durationMs: 1_000, failures: 0, openedBy: instance, openedMs: NOW_MS, reason: 'away' },
  ...rest,
})
const read = (...records: BreakerRecord[]) =>
  records.reduce<BreakerState>((state, one) => reduceBreaker(state, one, live), closedFromStart)

void t.test('of two claims with one term the first in the log has the probe', async (t) => {
  const state = read(record('open', 1, 'a'), record('half-open', 2, 'b'), record('half-open', 2, 'c'))
  t.match(state, { kind: 'half-open', instance: 'b', term: 2 })
})

void t.test('a record of an older term changes nothing', async (t) => {
  t.match(read(record('open', 1, 'a'), record('closed', 3, 'a'), record('open', 2, 'b')), { kind: 'closed', term: 3 })
})

void t.test('a record that counts for nothing stands last until the one that counts is written again', async (t) => {
  const claims = [record('open', 1, 'a'), record('half-open', 2, 'b'), record('half-open', 2, 'c')]
  t.equal(read(...claims).refused, 'c')
  t.equal(read(...claims, record('half-open', 2, 'b')).refused, null)
})

void t.test(
  'whoever knew only a claim that was refused is of one mind with the others from the next term on',
  async (t) => {
    const newcomer = read(record('half-open', 2, 'c'))
    t.match(reduceBreaker(newcomer, record('closed', 3, 'b'), live), { kind: 'closed', term: 3, instance: 'b' })
  },
)

void t.test('a wait counts from its receipt, so that no clock but our own matters', async (t) => {
  const state = reduceBreaker(closedFromStart, record('open', 1, 'a'), { ...live, timestampMs: NOW_MS - HOUR_MS })
  t.equal(untilMs(state), NOW_MS + 1_000)
})

void t.test(
  'found in the log at the start, it counts from when it was written, and is never longer than it was',
  async (t) => {
    const hours = record('open', 1, 'a', { durationMs: 5 * HOUR_MS })
    const found = (timestampMs: number) =>
      untilMs(reduceBreaker(closedFromStart, hours, { nowMs: NOW_MS, timestampMs, live: false })) - NOW_MS
    t.equal(found(NOW_MS - HOUR_MS), 4 * HOUR_MS)
    t.equal(found(NOW_MS - 9 * HOUR_MS), 0)
    t.equal(found(NOW_MS + 9 * HOUR_MS), 5 * HOUR_MS, 'a clock that runs ahead')
  },
)

void t.test('a claim found in the log is waited for in full: whoever has it may be alive', async (t) => {
  const old = { nowMs: NOW_MS, timestampMs: NOW_MS - HOUR_MS, live: false }
  t.equal(untilMs(reduceBreaker(closedFromStart, record('half-open', 1, 'a'), old)), NOW_MS + 1_000)
})

void t.test('a record is the same after its way through the log', async (t) => {
  for (const kind of ['open', 'half-open', 'closed'] as const) {
    const given = record(kind, 7, 'a', { failures: 3, durationMs: 30 * 24 * HOUR_MS })
    t.strictSame(readBreaker({ ...controlDefaults, ...writeBreaker('postgres', given) }), given)
  }
})

void t.test('a claim that is given back with its own term counts only if the claim did', async (t) => {
  const claims = [record('open', 1, 'a'), record('half-open', 2, 'b'), record('half-open', 2, 'c')]
  t.match(read(...claims, record('open', 2, 'b', { durationMs: 0 })), { kind: 'open', durationMs: 0 })
  t.match(read(...claims, record('open', 2, 'c', { durationMs: 0 })), { kind: 'half-open', instance: 'b' })
})
