import t from 'tap'
import { createTestDatabase } from '../../ops/testing/database.ts'
import { createStageReports } from './stage-reports.ts'
import type { StageReport } from './stage-reports.ts'

const database = await createTestDatabase()
const { db } = database
t.teardown(database.close)
t.beforeEach(() => db.raw('truncate stage_reports'))
const reports = createStageReports({ db })

const report = (instance: string, stage = 'chunker', perSecond = 1): StageReport => ({
  ...{ instance, stage, host: 'h', group: `sluice.${stage}`, perSecond, recordTimeoutMs: 45_000, behind: [] },
  partitions: [
    {
      ...{ topic: 't', partition: 3, next: '9007199254740993', inFlight: 0, oldestRecordMs: null, longestWorkMs: 0 },
      ...{ movedAgoMs: 5, pauses: [{ reason: 'operator', agoMs: 7 }], waits: [], dependencies: [] },
    },
  ],
})

t.test('what an instance says of a stage replaces what it said before; others stay', async (t) => {
  await reports.write([report('a'), report('a', 'processor')])
  await reports.write([report('b')])
  await reports.write([report('a', 'chunker', 2)])
  const read = await reports.read()
  t.same(
    read.map(({ instance, stage, perSecond }) => [instance, stage, perSecond]),
    [
      ['a', 'chunker', 2],
      ['b', 'chunker', 1],
      ['a', 'processor', 1],
    ],
    'newest first',
  )
  const { ageMs, ...rest } = read[1]!
  t.strictSame(rest, report('b'), 'as it was told')
  t.ok(ageMs >= 0)
})

t.test('ages are by the database’s clock', async (t) => {
  await reports.write([report('a')])
  await db.raw(`update stage_reports set updated_at = clock_timestamp() - interval '20 seconds'`)
  const [one] = await reports.read()
  t.ok(one!.ageMs >= 20_000)
})

t.test('a clean end removes an instance’s reports, and those of killed ones are swept by others', async (t) => {
  await reports.write([report('a'), report('a', 'processor'), report('killed')])
  await reports.remove('a')
  t.same(await db('stage_reports').pluck('instance'), ['killed'])
  await db.raw(`update stage_reports set updated_at = clock_timestamp() - interval '11 minutes'`)
  await reports.write([report('b')])
  t.same(await db('stage_reports').pluck('instance'), ['b'])
})

t.test('a Postgres that does not answer is given up after the timeout', async (t) => {
  const hanging = createStageReports({
    db: { raw: () => Object.assign(new Promise(() => {}), { timeout: () => new Promise(() => {}) }) } as never,
    timeoutMs: 1,
  })
  const away = { name: 'DependencyUnavailable' }
  await t.rejects(hanging.read(), away)
  await t.rejects(hanging.write([report('a')]), away)
  await t.rejects(hanging.remove('a'), away)
})
