import t from 'tap'
import type { PartitionReport, ReceivedReport } from '../../connectors/postgres/stage-reports.ts'
import { FRESH_MS, STALL_MS, judge } from './state.ts'
import type { Facts } from './state.ts'

const RECORD_TIMEOUT_MS = 45_000
const behind = (given: Partial<ReceivedReport['behind'][number]>) => [
  { gate: 'embeddings', dependency: 'embeddings', waiting: 0, inFlight: 0, heldBy: null, ...given },
]

function report(partition: Partial<PartitionReport> = {}, stage: Partial<ReceivedReport> = {}): Facts['report'] {
  return {
    stage: {
      ...{ instance: 'a', host: 'h', stage: 'chunker', group: 'g', perSecond: 1, ageMs: 1_000 },
      ...{ recordTimeoutMs: RECORD_TIMEOUT_MS, behind: behind({}), partitions: [] },
      ...stage,
    },
    partition: {
      ...{ topic: 't', partition: 0, next: '10', inFlight: 1, oldestRecordMs: 1, longestWorkMs: 100, movedAgoMs: 100 },
      ...{ pauses: [], waits: [], dependencies: [] },
      ...partition,
    },
  }
}
const judged = (given: Partial<Facts> = {}) =>
  judge({
    ...{ lag: 5n, isPaused: false, openCircuits: [], member: 'live', report: report(), reportsExpected: true },
    ...{ committed: 10n, watchedStillMs: 0, oldestAgeMs: 60_000 },
    ...given,
  })
const still = { movedAgoMs: STALL_MS, longestWorkMs: 0, inFlight: 0 }

t.test('without lag nothing stalls, whoever is there', async (t) => {
  t.same(judged({ lag: 0n, member: 'none', report: null }), { state: 'running', reasons: [] })
  t.same(judged({ lag: 0n, report: report(still) }), { state: 'running', reasons: [] })
  t.same(judged({ lag: 0n, isPaused: true, member: 'none' }), { state: 'paused', reasons: ['operator'] })
})

t.test('a deliberate pause never reads as a stall, however long nothing moves', async (t) => {
  const ages = { movedAgoMs: 7_200_000, longestWorkMs: 0, inFlight: 0 }
  const byOperator = report({ ...ages, pauses: [{ reason: 'operator', agoMs: 7_200_000 }] })
  t.same(judged({ isPaused: true, report: byOperator }), { state: 'paused', reasons: ['operator'] })
  t.same(
    judged({ isPaused: null, report: byOperator }),
    { state: 'paused', reasons: ['operator'] },
    'told by its owner',
  )
  const away = report({ ...ages, pauses: [{ reason: 'dependency', agoMs: 7_200_000 }], dependencies: ['postgres'] })
  t.same(judged({ report: away }), { state: 'paused', reasons: ['dependency:postgres'] })
  t.same(judged({ report: report({ ...ages, waits: ['operator'] }) }), { state: 'paused', reasons: ['tenant-paused'] })
  for (const wait of ['rate', 'tenant', 'cooldown', 'adaptive', 'retry-due'])
    t.same(judged({ report: report({ ...ages, waits: [wait] }) }), { state: 'throttled', reasons: [wait] })
})

t.test('a real stall is not hidden by a pause: nobody owns the partition', async (t) => {
  t.same(judged({ member: 'none', report: null }), { state: 'stalled', reasons: ['no-member'] })
  const reasons = ['operator', 'no-member']
  t.same(judged({ member: 'none', isPaused: true, report: null }), { state: 'stalled', reasons })
  t.same(judged({ member: 'none', isPaused: true }), { state: 'stalled', reasons }, 'its last report is still young')
})

t.test('a real stall is not hidden by a pause or a limit: a record is under way past its deadline', async (t) => {
  const hung = { longestWorkMs: RECORD_TIMEOUT_MS + 5_001, movedAgoMs: 100 }
  t.same(judged({ report: report(hung) }), { state: 'stalled', reasons: ['hung'] })
  t.same(judged({ report: report({ ...hung, waits: ['rate'] }) }), { state: 'stalled', reasons: ['rate', 'hung'] })
  t.same(judged({ isPaused: true, report: report(hung) }), { state: 'stalled', reasons: ['operator', 'hung'] })
  const away = { ...hung, dependencies: ['postgres'] }
  t.same(judged({ report: report(away) }), { state: 'stalled', reasons: ['dependency:postgres', 'hung'] })
  const standing = report(hung, { behind: behind({ waiting: 3, inFlight: 4, heldBy: 'rate' }) })
  t.same(judged({ report: standing }), { state: 'stalled', reasons: ['embeddings:rate', 'hung'] })
  t.equal(judged({ report: report({ longestWorkMs: RECORD_TIMEOUT_MS + 5_000 }) }).state, 'running', 'not yet')
})

t.test('work that stands at a gate behind the stage is throttled, however long nothing leaves it', async (t) => {
  const standing = { behind: behind({ waiting: 3, inFlight: 4, heldBy: 'rate' }) }
  const late = report({ longestWorkMs: 2_000, movedAgoMs: 7_200_000 }, standing)
  t.same(judged({ report: late }), { state: 'throttled', reasons: ['embeddings:rate'] })
})

t.test('a dependency that does not answer is no hung handler', async (t) => {
  const asked = report({ movedAgoMs: STALL_MS, longestWorkMs: STALL_MS }, { behind: behind({ inFlight: 1 }) })
  t.same(judged({ report: asked }), { state: 'throttled', reasons: ['awaits:embeddings'] })
})

t.test('without progress and without a reason for it, it is stalled after a while', async (t) => {
  t.same(judged({ report: report({ movedAgoMs: STALL_MS - 1_001 }) }), { state: 'running', reasons: [] })
  t.same(judged({ report: report({ movedAgoMs: STALL_MS }) }), { state: 'stalled', reasons: ['no-progress'] })
})

t.test('records that are not fetched stall from when they came, not from when the last one was settled', async (t) => {
  const idle = report({ ...still, movedAgoMs: 3_600_000, oldestRecordMs: null })
  t.equal(judged({ report: idle, oldestAgeMs: 2_000 }).state, 'running')
  t.same(judged({ report: idle, oldestAgeMs: STALL_MS }), { state: 'stalled', reasons: ['no-progress'] })
})

t.test('a process at its capacity runs: it is what another instance would help', async (t) => {
  const full = { waits: ['slots'], pauses: [{ reason: 'rate', agoMs: 60_000 }] }
  t.same(judged({ report: report(full) }), { state: 'running', reasons: ['capacity'] })
  t.same(judged({ report: report({ ...full, waits: ['slots', 'tenant'] }) }), {
    state: 'running',
    reasons: ['capacity'],
  })
  t.equal(judged({ report: report({ ...full, movedAgoMs: STALL_MS }) }).state, 'stalled', 'unless nothing leaves it')
})

t.test('a failed record’s wait holds up only itself', async (t) => {
  t.same(judged({ report: report({ waits: ['retry-due'] }) }), { state: 'running', reasons: [] })
  const waiting = report({ waits: ['retry-due'], inFlight: 0, longestWorkMs: 0 })
  t.same(judged({ report: waiting }), { state: 'throttled', reasons: ['retry-due'] })
})

t.test('a start that is refused is a stall, also under a pause; one that is being checked is not', async (t) => {
  const guarded = (agoMs: number) => report({ ...still, pauses: [{ reason: 'offset-guard', agoMs }] })
  t.equal(judged({ report: guarded(STALL_MS) }).state, 'stalled')
  t.same(judged({ isPaused: true, report: guarded(STALL_MS) }).reasons, ['operator', 'offset-guard'])
  const starting = report({ pauses: [{ reason: 'offset-guard', agoMs: 500 }] })
  t.same(judged({ report: starting }), { state: 'running', reasons: ['offset-guard'] })
  const cannotClaim = judged({ report: guarded(STALL_MS), openCircuits: ['postgres'] })
  t.same(cannotClaim, { state: 'paused', reasons: ['dependency:postgres'] })
})

t.test('an owner that says nothing: commands and offsets are what is known', async (t) => {
  const young = { report: null, watchedStillMs: 1_000 }
  t.same(judged(young), { state: 'running', reasons: ['unreported'] })
  t.same(judged({ ...young, isPaused: true }), { state: 'paused', reasons: ['operator', 'unreported'] })
  const quiet = report({}, { ageMs: STALL_MS })
  t.same(judged({ report: quiet }), { state: 'stalled', reasons: ['unreported'] })
  t.same(judged({ report: quiet, isPaused: true }), { state: 'stalled', reasons: ['operator', 'unreported'] })
  t.equal(judged({ report: quiet, committed: 11n }).state, 'running', 'it has moved since')
  t.equal(judged({ report: report({}, { ageMs: FRESH_MS }) }).state, 'running', 'young enough')
})

t.test('while Postgres is away its silence says nothing of the owner', async (t) => {
  const away = { reportsExpected: false, report: null, watchedStillMs: STALL_MS }
  t.same(judged(away), { state: 'running', reasons: ['unreported'] })
  t.same(judged({ ...away, isPaused: true, watchedStillMs: 7_200_000 }).state, 'paused')
  const open = { ...away, openCircuits: ['postgres'], watchedStillMs: 7_200_000 }
  t.same(judged(open), { state: 'paused', reasons: ['unreported', 'dependency:postgres'] })
  t.equal(judged({ ...away, watchedStillMs: 120_000 }).state, 'stalled', 'longer than any wait between attempts')
  t.same(judged({ ...away, isPaused: true, member: 'none' }).reasons, ['operator', 'no-member'])
})

t.test('between two owners it is neither owned nor lost', async (t) => {
  t.same(judged({ member: 'unknown' }), { state: 'running', reasons: ['rebalancing'] })
  t.same(judged({ member: 'unknown', report: report({ movedAgoMs: STALL_MS }) }).reasons, [
    'rebalancing',
    'no-progress',
  ])
})
