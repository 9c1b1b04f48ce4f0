/** Processes that fall silent: what they may still use, and what the others leave alone. Safety is asserted at every step. */
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { leaseTimings, silentMs } from './leases-port.ts'
import { createFleet, partitionKeys } from './leases-simulation.ts'
import { seeded } from './seeded.ts'

const TOTAL = 12
const SILENT_MS = silentMs(leaseTimings)
const near = (a: number, b: number) => Math.abs(a - b) < 1e-6

/** All hungry, each owning this many partitions of twelve, settled. */
async function startFleet(...owned: number[]) {
  const fleet = createFleet({ clock: createFakeClock(), kind: 'rate', total: TOTAL, random: seeded(1) })
  let from = 0
  for (const count of owned) {
    const member = fleet.join()
    fleet.give(member, partitionKeys.slice(from, from + count))
    member.want = Infinity
    from += count
  }
  await fleet.pass(5_000)
  return { fleet, members: fleet.members }
}

void t.test('without the table all live off their floors, which are the whole budget, and come back', async (t) => {
  const { fleet, members } = await startFleet(6, 3, 3)
  members[1]!.want = members[2]!.want = 0
  for (const member of members) member.toTable = false
  await fleet.pass(leaseTimings.ttlMs)
  t.equal(fleet.usable(), 0)
  await fleet.pass(SILENT_MS)
  t.strictSame(
    members.map(({ budget }) => budget.allowed()),
    [6, 3, 3],
  )
  for (const member of members) member.toTable = true
  await fleet.pass(SILENT_MS)
  t.ok(near(members[0]!.budget.allowed(), TOTAL))
})

void t.test('who alone is cut off has its floor in the end, and the others leave it alone by then', async (t) => {
  const { fleet, members } = await startFleet(6, 3, 3)
  members[1]!.toTable = false
  await fleet.pass(leaseTimings.ttlMs + 5_000)
  t.ok(near(fleet.usable(), TOTAL), 'the others have it all meanwhile')
  await fleet.pass(SILENT_MS)
  t.ok(near(members[1]!.budget.allowed(), 3))
  t.ok(near(fleet.usable(), TOTAL))
  members[1]!.toTable = true
  await fleet.pass(5_000)
  t.ok(near(members[1]!.budget.allowed(), 4), 'its fair part again')
  t.ok(near(fleet.usable(), TOTAL))
})

void t.test('who is heard but does not hear is silent too', async (t) => {
  const { fleet, members } = await startFleet(6, 3, 3)
  members[1]!.want = 0
  members[1]!.fromTable = false
  await fleet.pass(leaseTimings.ttlMs + SILENT_MS)
  t.ok(near(members[1]!.budget.allowed(), 3))
})

void t.test('partitions that a dead process vouched for count once when another takes them over', async (t) => {
  const { fleet, members } = await startFleet(4, 4, 4)
  const [cutOff, dying, heir] = members
  cutOff!.toTable = false
  await fleet.pass(SILENT_MS + 2_000)
  fleet.kill(dying!)
  await fleet.pass(5_000)
  fleet.give(heir!, partitionKeys.slice(4))
  await fleet.pass(20_000)
  t.ok(near(cutOff!.budget.allowed(), 4))
  t.ok(near(heir!.budget.allowed(), 8))
})

void t.test('a partition that moves to a silent process adds to its floor once nobody vouches for it', async (t) => {
  const { fleet, members } = await startFleet(8, 4, 0)
  const [other, before, after] = members
  after!.toTable = false
  await fleet.pass(SILENT_MS)
  fleet.give(before!, [])
  fleet.give(after!, partitionKeys.slice(8))
  await fleet.pass(leaseTimings.lingerMs - 1_500)
  before!.toTable = false
  // The last lease that lends these partitions is given at the end of the last contact that vouches for them.
  await fleet.pass(leaseTimings.graceMs - 1_500)
  other!.toTable = false
  await fleet.pass(SILENT_MS)
  t.ok(near(after!.budget.allowed(), 4))
})

void t.test('who was stopped for long neither lives off its partitions nor vouches for them', async (t) => {
  const { fleet, members } = await startFleet(4, 4, 4)
  const [other, stopped, heir] = members
  heir!.toTable = false
  fleet.stop(stopped!)
  await fleet.pass(9_000)
  fleet.give(heir!, partitionKeys.slice(4))
  await fleet.pass(SILENT_MS + 1_000)
  t.ok(near(heir!.budget.allowed(), 8))
  fleet.resume(stopped!)
  t.equal(stopped!.budget.allowed(), 0)
  await fleet.pass(3_000)
  fleet.give(stopped!, [])
  await fleet.pass(20_000)
  t.ok(near(heir!.budget.allowed(), 8))
  t.ok(near(other!.budget.allowed() + stopped!.budget.allowed(), 4))
})

void t.test('nor off a floor, when it cannot reach the table either', async (t) => {
  const { fleet, members } = await startFleet(4, 4, 4)
  const [, stopped, heir] = members
  stopped!.toTable = false
  await fleet.pass(SILENT_MS + 2_000)
  t.ok(near(stopped!.budget.allowed(), 4))
  fleet.stop(stopped!)
  await fleet.pass(9_000)
  fleet.give(heir!, partitionKeys.slice(4))
  await fleet.pass(5_000)
  t.ok(near(fleet.usable(), TOTAL))
  fleet.resume(stopped!)
  t.equal(stopped!.budget.allowed(), 0)
  await fleet.pass(2_000)
})

void t.test('what the table would take from a lease, it takes only once the holder knows', async (t) => {
  const { fleet, members } = await startFleet(6, 6)
  const [holder, other] = members
  other!.want = 0
  await fleet.pass(3_000)
  t.ok(near(holder!.budget.allowed(), TOTAL))
  holder!.fromTable = false
  other!.budget.setTotal(4)
  await fleet.pass(1_300)
  other!.budget.setTotal(TOTAL)
  other!.want = Infinity
  await fleet.pass(10_000)
  t.ok(other!.budget.allowed() < TOTAL)
})
