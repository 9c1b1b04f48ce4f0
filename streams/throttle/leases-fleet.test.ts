/** Properties of the whole fleet, asserted at every instant of a simulation. */
import fc from 'fast-check'
import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import type { FakeClock } from '../../ops/testing/fake-clock.ts'
import { leaseTimings } from './leases-port.ts'
import { STEP_MS, createFleet } from './leases-simulation.ts'
import { seeded } from './seeded.ts'
import type { Fleet, Member } from './leases-simulation.ts'

/** After which the group gives a silent member's partitions to the others. */
const SESSION_MS = 9_000

function startFleet(
  kind: 'rate' | 'slots',
  total: number,
  members: number,
  { seed = 1, late = 0, maxWorkMs = 400 } = {},
) {
  const clock = createFakeClock()
  const fleet = createFleet({ clock, kind, total, random: seeded(seed), late, maxWorkMs })
  for (let index = 0; index < members; index += 1) fleet.join()
  fleet.assign(fleet.members)
  return { clock, fleet }
}
async function average(fleet: Fleet, ms: number, of: () => number): Promise<number> {
  let sum = 0
  await fleet.pass(ms, () => (sum += of()))
  return (sum * STEP_MS) / ms
}
const near = (a: number, b: number) => Math.abs(a - b) < 1e-6

type Action =
  | { readonly kind: 'want'; readonly who: number; readonly want: number }
  | { readonly kind: 'kill' | 'stop' | 'resume' | 'cut' | 'deaf' | 'mend'; readonly who: number }
  | { readonly kind: 'total'; readonly total: number; readonly who: number }
  | { readonly kind: 'join' | 'rebalance'; readonly who: number }
const who = fc.nat(5)
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('want' as const), who, want: fc.constantFrom(0, 1, 3, Infinity, Infinity) }),
  fc.record({ kind: fc.constantFrom('kill', 'stop', 'resume', 'cut', 'deaf', 'mend', 'cut', 'mend'), who }),
  fc.record({ kind: fc.constant('total' as const), who, total: fc.constantFrom(2, 4, 8, 10) }),
  fc.record({ kind: fc.constantFrom('join' as const, 'rebalance' as const), who }),
)
/** Now and then nothing happens for long: floors and silence take their time. */
const script = fc.array(
  fc.record({ action, thenMs: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(30, 100, 300)) }),
  { minLength: 4, maxLength: 14 },
)

/** What a world without mercy does to a fleet; each total reaches each member at its own time. */
function worldOf(clock: FakeClock, fleet: Fleet, random: () => number) {
  const alive = () => fleet.members.filter(({ state }) => state !== 'dead')
  const rebalance = () => {
    fleet.revoke()
    clock.after(random() * 2_000, () => fleet.assign(alive().filter(({ state }) => state === 'running')))
  }
  const tell = (member: Member, total: number) =>
    clock.after(random() * 3_000, () => {
      member.total = total
      member.budget.setTotal(total)
    })
  return (act: Action) => {
    if (act.kind === 'join') return void (fleet.members.length < 6 && fleet.join() && rebalance())
    if (act.kind === 'rebalance') return rebalance()
    if (act.kind === 'total') return alive().forEach((member) => tell(member, act.total))
    const member = fleet.members[act.who % fleet.members.length]!
    if (act.kind === 'want') member.want = act.want
    if (act.kind === 'cut') member.toTable = false
    if (act.kind === 'deaf') member.fromTable = false
    if (act.kind === 'mend') member.toTable = member.fromTable = true
    if (act.kind === 'resume') fleet.resume(member)
    if (act.kind === 'stop' || act.kind === 'kill') {
      fleet[act.kind](member)
      // Whoever is still silent by then has lost its partitions.
      clock.after(SESSION_MS, () => void (member.state !== 'running' && rebalance()))
    }
  }
}

for (const kind of ['rate', 'slots'] as const)
  void t.test(`${kind}: whatever happens, at no instant is more usable than there is`, async () => {
    await fc.assert(
      fc.asyncProperty(script, fc.nat(), async (steps, seed) => {
        const { clock, fleet } = startFleet(kind, 8, 3, { seed, late: 0.05 })
        const happen = worldOf(clock, fleet, seeded(seed + 1))
        for (const member of fleet.members) member.want = Infinity
        // Work that began under a higher total, or floor, ends within its time.
        const totals: number[] = []
        await fleet.pass(3_000)
        for (const { action, thenMs } of steps) {
          happen(action)
          await fleet.pass(thenMs * STEP_MS, () => {
            totals.push(fleet.greatestTotal())
            const most = Math.max(...totals.slice(-10))
            if (fleet.atWork() > most) throw new Error(`${fleet.atWork()} at work of ${most}`)
          })
        }
      }),
      { numRuns: kind === 'rate' ? 40 : 15 },
    )
  })

void t.test('one hot process of four has the whole budget', async (t) => {
  const { fleet } = startFleet('rate', 10, 4)
  fleet.members[2]!.want = Infinity
  await fleet.pass(3_000)
  const had = await average(fleet, 60_000, () => fleet.members[2]!.budget.allowed())
  t.ok(had >= 9.99, `${had} of 10`)
})

void t.test('what a killed process held is in use again within five seconds, whenever it dies', async (t) => {
  for (let delay = 0; delay < 1_200; delay += 100) {
    const { fleet } = startFleet('rate', 12, 3, { seed: delay })
    for (const member of fleet.members) member.want = Infinity
    await fleet.pass(5_000 + delay)
    t.ok(near(fleet.usable(), 12))
    fleet.kill(fleet.members[1]!)
    t.ok(near(fleet.usable(), 8))
    await fleet.pass(5_000)
    t.ok(near(fleet.usable(), 12), `killed after ${delay} ms`)
    fleet.assign(fleet.members.filter(({ state }) => state === 'running'))
    await fleet.pass(20_000, () => void (near(fleet.usable(), 12) || t.fail(`${fleet.usable()} usable`)))
  }
})

void t.test('an idle process has a part as soon as it asks where something is free', async (t) => {
  const { clock, fleet } = startFleet('rate', 10, 4)
  fleet.members[0]!.want = 4
  await fleet.pass(5_000)
  const late = fleet.members[3]!
  t.equal(late.budget.allowed(), 0)
  late.want = 5
  late.work()
  await clock.advance(12) // one round trip: two delays of at most 5 ms
  t.ok(near(late.budget.allowed(), 5))
})

void t.test('where others must shrink first, it has its fair part within two seconds', async (t) => {
  for (let seed = 0; seed < 10; seed += 1) {
    const { fleet } = startFleet('rate', 10, 4, { seed })
    for (const member of fleet.members.slice(0, 3)) member.want = Infinity
    await fleet.pass(5_000)
    fleet.members[3]!.want = Infinity
    await fleet.pass(2_000)
    t.ok(near(fleet.members[3]!.budget.allowed(), 2.5), `${fleet.members[3]!.budget.allowed()}`)
  }
})

void t.test(
  'with steady demand nothing moves; each renews once a second, who has more than an even part twice',
  async (t) => {
    const { fleet } = startFleet('rate', 10, 4)
    for (const member of fleet.members) member.want = Infinity
    fleet.members[0]!.want = 1
    fleet.members[1]!.weight = 2
    await fleet.pass(5_000)
    let changes = 0
    for (const { budget } of fleet.members) budget.onChange(() => (changes += 1))
    const before = fleet.renewals()
    await fleet.pass(60_000)
    t.equal(changes, 0)
    t.ok(fleet.members.every(({ budget }, index) => near(budget.allowed(), [1, 4.5, 2.25, 2.25][index]!)))
    t.ok(fleet.renewals() - before <= (3 + 2) * 67, `${fleet.renewals() - before} renewals`)
  },
)

void t.test('four slots among six hungry processes go round and are rarely idle', async (t) => {
  const { fleet } = startFleet('slots', 4, 6)
  for (const member of fleet.members) member.want = Infinity
  await fleet.pass(5_000)
  const waited = fleet.members.map(() => 0)
  let longest = 0
  const busy = await average(fleet, 120_000, () => {
    fleet.members.forEach((member, index) => {
      waited[index] = member.atWork() > 0 ? 0 : waited[index]! + STEP_MS
      longest = Math.max(longest, waited[index])
    })
    return fleet.atWork()
  })
  t.ok(busy >= 3.6, `${busy} of 4 slots at work`)
  t.ok(longest <= 6 * leaseTimings.rotateMs, `${longest} ms without a slot`)
})

void t.test(
  'a rebalance takes nothing from anybody, and a killed process’ partitions are claimed in time',
  async (t) => {
    const { clock, fleet } = startFleet('rate', 12, 4)
    for (const member of fleet.members) member.want = Infinity
    await fleet.pass(5_000)
    const whole = () => void (near(fleet.usable(), 12) || t.fail(`${fleet.usable()} at ${clock.now()}`))
    fleet.revoke()
    await fleet.pass(3_000, whole)
    fleet.assign([...fleet.members].reverse())
    await fleet.pass(10_000, whole)
    fleet.kill(fleet.members[3]!)
    await fleet.pass(5_000)
    await fleet.pass(SESSION_MS - 5_000, whole)
    fleet.assign(fleet.members.slice(0, 3))
    await fleet.pass(30_000, whole)
    t.pass()
  },
)

void t.test('a slot is given back when its work is over, not before, however long that takes', async (t) => {
  for (let seed = 0; seed < 5; seed += 1) {
    const { fleet } = startFleet('slots', 8, 3, { seed, maxWorkMs: 8_000 })
    fleet.members[0]!.want = Infinity
    await fleet.pass(3_000)
    for (const member of fleet.members) member.want = Infinity
    await fleet.pass(30_000, () => void (fleet.atWork() > 8 && t.fail(`${fleet.atWork()} at work of 8`)))
    t.ok(fleet.members.every((member) => member.atWork() > 0))
  }
})
