/** The live group moved by hand: shown first, refused while it is alive, and never ahead of its ledger. */
import t from 'tap'
import { checksum, watchLedger } from '../testing/checker.ts'
import { eventually } from '../testing/eventually.ts'
import { createReplayWorld } from '../testing/replays.ts'

t.setTimeout(200_000)
const world = await createReplayWorld()
t.teardown(world.close)
const { db, admin, prefix, sluice, askedFor } = world
const group = `${prefix}sluice.chunker`
const topic = `${prefix}pages.processed`

async function positions() {
  const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  const rows = await db('stage_offsets').where({ consumer_group: group, topic }).orderBy('partition')
  return {
    committed: offsets!.partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset)),
    ledger: rows.map(({ next_offset }) => Number(next_offset)),
  }
}
const all = { committed: [13, 13, 13], ledger: [13, 13, 13] }

t.test('without --yes it only says what would happen', async (t) => {
  t.strictSame(await positions(), all)
  const { code, rows, stderr } = await sluice('replay', 'reset', 'chunker', '--to', 'beginning')
  t.match({ code, stderr }, { code: 0, stderr: /nothing was changed/ })
  const step = { topic, committed: 13, ledger: 13, to: 0, end: 13, done: false }
  t.match(
    rows,
    [0, 1, 2].map((partition) => ({ ...step, partition })),
  )
  t.strictSame(await positions(), all)
})

t.test('while the group has members it is refused', async (t) => {
  const live = await world.spawnStages(['chunker'])
  await eventually(
    'it has joined',
    async () => (await admin.describeGroups([group])).groups[0]!,
    ({ state, members }) => state === 'Stable' && members.length > 0,
  )
  const { code, stderr } = await sluice('replay', 'reset', 'chunker', '--to', 'beginning', '--yes')
  t.match({ code, stderr }, { code: 1, stderr: /member.*\n.*Stop every instance/s })
  t.strictSame(await positions(), all)
  await live.end('SIGTERM')
})

t.test('back to the beginning: the ledger follows, and all is done again without a change', async (t) => {
  const before = { sum: await checksum(db), asked: askedFor() }
  const watch = watchLedger(admin, db, prefix)
  const { code, stderr } = await sluice('replay', 'reset', 'chunker', '--to', 'beginning', '--yes')
  t.equal(code, 0, stderr)
  t.strictSame(await positions(), { committed: [0, 0, 0], ledger: [0, 0, 0] })
  const live = await world.spawnStages(['chunker'])
  await world.drained('chunker')
  await live.end('SIGTERM')
  t.strictSame((await watch.stop()).violations, [])
  t.strictSame(await positions(), all)
  t.strictSame({ sum: await checksum(db), asked: askedFor() }, before)
})

t.test('one partition alone, back and then forward again: the ledger goes first', async (t) => {
  await sluice('replay', 'reset', 'chunker', '--to', '2', '--partition', '1', '--yes')
  t.strictSame(await positions(), { committed: [13, 2, 13], ledger: [13, 2, 13] })
  const watch = watchLedger(admin, db, prefix)
  await sluice('replay', 'reset', 'chunker', '--to', '9', '--partition', '1', '--yes')
  t.strictSame((await watch.stop()).violations, [])
  t.strictSame(await positions(), { committed: [13, 9, 13], ledger: [13, 9, 13] })
  const epochs = await db('stage_offsets').where({ consumer_group: group, topic }).orderBy('partition')
  t.ok(Number(epochs[1].epoch) > Number(epochs[0].epoch), 'whoever still writes in the old epoch is refused')
})

t.test('a group that never was, and one without a ledger', async (t) => {
  const { code, rows, stderr } = await sluice('replay', 'reset', 'processor', '--to', '1d', '--yes')
  t.equal(code, 0, stderr)
  t.match(rows[0], { committed: null, ledger: null, to: 0, done: true })
})

t.test('what cannot be meant is refused', async (t) => {
  t.match(await sluice('replay', 'reset', 'chunker'), { code: 2, stderr: /--to beginning/ })
  t.match(await sluice('replay', 'reset', 'chunker', '--to', 'yesterday'), { code: 2, stderr: /neither an offset/ })
  t.match(await sluice('replay', 'reset', 'chunker', '--to', '1', '--partition', '7'), {
    code: 2,
    stderr: /no partition 7/,
  })
})
