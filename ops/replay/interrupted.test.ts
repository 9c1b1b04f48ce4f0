/** Replays that do not come to their end by themselves: killed, stopped, cancelled. */
import t from 'tap'
import { eventually } from '../testing/eventually.ts'
import { storedRows } from '../testing/checker.ts'
import { RECORDS_A_TENANT, SMALLER, clean, createReplayWorld } from '../testing/replays.ts'

t.setTimeout(280_000)
const world = await createReplayWorld()
t.teardown(world.close)
const { db, start, sluice, askedFor, expected, leftovers, replays } = world
const RECORDS = 3 * RECORDS_A_TENANT
const LARGER = { CHUNK_CHILD_TOKENS: '300' }

// Slow enough to be met in the middle.
t.equal((await sluice('limit', 'chunker', '--records-per-second', '4')).code, 0)

const newest = async () => (await replays.list(1))[0]
const someway = (least: number) =>
  eventually('the replay is on its way', newest, (row) => row?.status === 'running' && row.figures.records >= least)

t.test('killed and said again: it goes on where it was, and every figure is exact', async (t) => {
  const { last: estimated } = await start(['replay', 'chunker', '--from', 'beginning', '--dry-run'], SMALLER).ended
  const before = askedFor()
  const first = start(['replay', 'chunker', '--from', 'beginning'], SMALLER)
  const { id } = (await someway(8))!
  first.child.kill('SIGKILL')
  await first.ended
  t.ok((await newest())!.figures.records < RECORDS, 'in the middle')
  const tooEarly = await start(['replay', 'resume', id]).ended
  t.match(tooEarly, { code: 1, stderr: /another configuration/ }, 'not half in one configuration, half in another')
  await sluice('limit', 'chunker', '--off')
  const second = await start(['replay', 'chunker', '--from', 'beginning'], SMALLER).ended
  t.equal(second.code, 0, second.stderr)
  t.match(second.stderr, `replay ${id} is not finished: going on with it`)
  t.strictSame(await storedRows(db), expected(SMALLER))
  const { embeddingInputs: _, embeddingTokens: __, ...exact } = estimated!
  t.match(second.last, exact)
  t.ok(
    askedFor() - before < Number(estimated!['embeddingInputs']) * 1.5,
    'what was bought before the kill stays bought',
  )
  t.strictSame(await leftovers(), clean)
})

t.test('a signal: it ends in order and can be resumed at once', async (t) => {
  await sluice('limit', 'chunker', '--records-per-second', '4')
  const first = start(['replay', 'chunker', '--from', 'beginning'], LARGER)
  const { id } = (await someway(4))!
  first.child.kill('SIGTERM')
  const { code, stderr } = await first.ended
  t.match({ code, stderr }, { code: 130, stderr: `sluice replay resume ${id}` })
  t.match((await sluice('replay', 'status', id)).rows, [{ id, status: 'interrupted', stage: 'chunker' }])
  await sluice('limit', 'chunker', '--off')
  const second = await start(['replay', 'resume', id], LARGER).ended
  t.match(second, { code: 0, last: { records: RECORDS } }, second.stderr)
  t.strictSame(await storedRows(db), expected(LARGER))
})

t.test('while it runs it cannot be started twice; cancelled, it ends in order with exit 1', async (t) => {
  await sluice('limit', 'chunker', '--records-per-second', '4')
  const running = start(['replay', 'chunker', '--from', 'beginning'], SMALLER)
  const { id } = (await someway(4))!
  t.match(await start(['replay', 'chunker', '--from', 'beginning'], SMALLER).ended, {
    code: 1,
    stderr: /is being worked on by/,
  })
  t.match(await sluice('replay', 'cancel', id), { code: 0, last: { id, status: 'cancelled' } })
  const { code, stderr, last } = await running.ended
  t.match({ code, stderr }, { code: 1, stderr: `replay ${id} was cancelled` })
  t.ok(Number(last!['records']) < RECORDS)
  t.match((await sluice('replay', 'status', id)).rows, [{ id, status: 'cancelled' }])
  t.match(await start(['replay', 'resume', id], SMALLER).ended, { code: 1, stderr: /is cancelled/ })
  t.strictSame(await leftovers(), clean)
})

t.test('cancelled after a kill: whoever cancels it takes away what is left', async (t) => {
  const running = start(['replay', 'chunker', '--from', 'beginning'], SMALLER)
  const { id } = (await someway(4))!
  running.child.kill('SIGKILL')
  await running.ended
  await eventually('its heart is stale', newest, (row) => row!.heartbeatAgeMs > 10_000)
  t.match(await sluice('replay', 'cancel', id), { code: 0 })
  await eventually('nothing is left', leftovers, ({ groups, ledger }) => groups.length + ledger.length === 0)
  await sluice('limit', 'chunker', '--off')
})

t.test('detached it goes on without its terminal', async (t) => {
  const { code, last } = await start(['replay', 'chunker', '--from', 'beginning', '--detach'], SMALLER).ended
  t.match({ code, last }, { code: 0, last: { id: String, logFile: String } })
  const row = await eventually('it is done', newest, (one) => one!.status === 'done')
  t.match(row, { id: last!['id'], figures: { records: RECORDS } })
  t.strictSame(await storedRows(db), expected(SMALLER))
})
