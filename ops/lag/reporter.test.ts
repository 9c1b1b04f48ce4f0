import t from 'tap'
import type { StageReport } from '../../connectors/postgres/stage-reports.ts'
import type { PartitionState, RunningStage } from '../../streams/runtime/run-stage.ts'
import { createFakeClock } from '../testing/fake-clock.ts'
import { fakeGate, fakeLogger } from '../testing/runtime-fakes.ts'
import { createReporter } from './reporter.ts'

function setUp() {
  const clock = createFakeClock()
  const logger = fakeLogger()
  const written: StageReport[][] = []
  const removed: string[] = []
  const state = { fails: false, next: 5n, movedMs: clock.now() }
  const at = { topic: 't', partition: 0 }
  const assignment = { at }
  const stage = {
    name: 'chunker',
    assignments: () => [assignment],
    partitions: () => [
      {
        ...{ ...at, reasons: [{ reason: 'rate', sinceMs: clock.now() - 700 }], dependencies: ['postgres'] },
        ...{ next: state.next, end: 9n, inFlight: 1, oldestRecordMs: 17, longestWorkMs: 300 },
        ...{ movedMs: state.movedMs, waits: ['slots'] },
      } as unknown as PartitionState,
    ],
  } as unknown as RunningStage
  const reporter = createReporter({
    ...{
      stages: () => [stage],
      instance: 'me',
      groupOf: (name) => `g.${name}`,
      recordTimeoutMs: 45_000,
      clock,
      logger,
    },
    gates: { embeddings: fakeGate(1), database: fakeGate(1) },
    reports: {
      read: () => Promise.resolve([]),
      remove: (instance) => Promise.resolve(void removed.push(instance)),
      write: (reports) => {
        if (state.fails) return Promise.reject(new Error('away'))
        written.push([...reports])
        return Promise.resolve()
      },
    },
  })
  return { clock, logger, state, written, removed, reporter }
}

t.test('it tells times as ages, with what holds each partition and the gates behind the stage', async (t) => {
  const { reporter, clock, written } = setUp()
  reporter.settled('chunker')
  reporter.start()
  await clock.settle()
  t.match(written, [[{ instance: 'me', stage: 'chunker', group: 'g.chunker', recordTimeoutMs: 45_000 }]])
  t.match(written[0]![0]!.behind, [{ gate: 'embeddings' }, { gate: 'database', dependency: 'postgres' }])
  t.match(written[0]![0]!.partitions, [
    { topic: 't', partition: 0, next: '5', longestWorkMs: 300, movedAgoMs: 0, oldestRecordMs: 17, waits: ['slots'] },
  ])
  t.match(written[0]![0]!.partitions[0], { pauses: [{ reason: 'rate', agoMs: 700 }], dependencies: ['postgres'] })
  await clock.advance(6_000)
  t.ok(written[1]![0]!.perSecond > 0)
  await reporter.close()
})

t.test(
  'a change is told within 2 s, what has not changed every 5 s or so, and what only grows older is no change',
  async (t) => {
    const { reporter, clock, written, state } = setUp()
    reporter.start()
    await clock.advance(4_000)
    t.equal(written.length, 1)
    await clock.advance(2_000)
    t.equal(written.length, 2, 'repeated')
    state.next = 6n
    await clock.advance(2_000)
    t.equal(written.length, 3)
    await reporter.close()
  },
)

t.test('while Postgres is away it says so once, goes on trying, and tells all at once when it is back', async (t) => {
  const { reporter, clock, written, state, logger } = setUp()
  state.fails = true
  reporter.start()
  await clock.advance(10_000)
  t.equal(logger.lines.filter(({ level }) => level === 'warn').length, 1)
  state.fails = false
  await clock.advance(2_000)
  t.equal(written.length, 1)
  await reporter.close()
})

t.test('a clean end takes back what was told, and leaves no timer', async (t) => {
  const { reporter, clock, removed } = setUp()
  reporter.start()
  await clock.advance(2_500)
  await reporter.close()
  t.same(removed, ['me'])
  t.equal(clock.pending(), 0)
})
