import t from 'tap'
import { createFakeClock } from '../../ops/testing/fake-clock.ts'
import { deferred } from '../../ops/testing/runtime-fakes.ts'
import { createLeases } from './leases.ts'
import { createLeaseTableModel } from './leases-model.ts'
import { leaseTimings } from './leases-port.ts'
import type { LeaseAnswer, LeaseRequest, LeaseRow } from './leases-port.ts'

const { ttlMs, marginMs, renewMs, urgentGapMs } = leaseTimings
const LEASE_MS = ttlMs - marginMs

/** One process over the table's model; `intercept` comes between it and the answers. */
function setUp() {
  const clock = createFakeClock()
  const table = createLeaseTableModel(clock.now)
  const requests: LeaseRequest[] = []
  const logged: string[] = []
  const log = (level: string) => (_: object, message?: string) => void logged.push(`${level}: ${message}`)
  const world = {
    skewMs: 0,
    intercept: async (answer: LeaseAnswer): Promise<LeaseAnswer> => answer,
  }
  const leases = createLeases({
    clock,
    monotonicNow: () => clock.now() + world.skewMs,
    holder: 'me',
    ownership: () => ({ owned: [], of: 0 }),
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    random: () => 0.5,
    table: {
      renew: async (request) => {
        requests.push(request)
        return world.intercept(table.renew(request))
      },
    },
  })
  const demand = { want: 0, inUse: 0 }
  const attached = (kind: 'rate' | 'slots', total: number | null, name = 'requests') => {
    const budget = leases.budget(name, kind, total)
    budget.attach({ want: () => demand.want, inUse: () => demand.inUse, weight: () => 1 })
    return budget
  }
  return { clock, table, requests, logged, world, leases, demand, attached }
}
/** Another process' row, as an answer tells of it. */
const another = (row: Partial<LeaseRow>): LeaseRow => ({
  ...{ resource: 'requests', holder: 'other', held: 0, want: 0, weight: 1, total: 10, sequence: 1, covered: 1 },
  expiresInMs: ttlMs,
  ...row,
})
const withOther =
  (row: Partial<LeaseRow>) =>
  async (answer: LeaseAnswer): Promise<LeaseAnswer> => ({ ...answer, rows: [...answer.rows, another(row)] })

void t.test('without a total there is no limit, no timer and no statement; a total may come later', async (t) => {
  const { clock, leases, attached, requests } = setUp()
  const budget = attached('rate', null)
  leases.start()
  t.equal(budget.allowed(), Infinity)
  t.equal(clock.pending(), 0)
  leases.ownershipChanged() // an assignment, while there was nothing to lease
  budget.setTotal(5)
  t.equal(budget.allowed(), 0, 'nothing before the first answer')
  await clock.advance(0)
  t.equal(budget.allowed(), 5)
  budget.setTotal(null)
  t.equal(budget.allowed(), Infinity)
  await clock.advance(urgentGapMs)
  t.match(requests.at(-1)!.asks, [{ asked: 0, leaving: true }])
  await clock.advance(LEASE_MS)
  t.equal(clock.pending(), 0)
})

void t.test('a sole holder keeps everything without demand', async (t) => {
  const { clock, leases, attached } = setUp()
  const [rate, slots] = [attached('rate', 7.5), attached('slots', 4, 'slots')]
  leases.start()
  await clock.advance(10_000)
  t.equal(rate.allowed(), 7.5)
  t.equal(slots.allowed(), 4)
})

void t.test('all budgets are renewed in one request, once a second', async (t) => {
  const { clock, leases, attached, requests } = setUp()
  attached('rate', 10)
  attached('slots', 4, 'slots')
  leases.start()
  await clock.advance(urgentGapMs)
  const before = requests.length
  await clock.advance(10 * renewMs)
  t.equal(requests.length - before, 10)
  t.ok(requests.every(({ asks }) => asks.length === 2))
})

void t.test('a lease is counted from before it was asked for, however late the answer was', async (t) => {
  const { clock, leases, attached, world } = setUp()
  const budget = attached('rate', 10)
  leases.start()
  await clock.advance(500)
  const gate = deferred()
  world.intercept = async (answer) => {
    await gate.promise
    return answer
  }
  budget.hungry()
  await clock.advance(renewMs - 500)
  await clock.advance(1_400)
  gate.resolve()
  world.intercept = () => new Promise(() => {})
  await clock.advance(0)
  t.equal(budget.allowed(), 10)
  let told = 0
  budget.onChange(() => (told += 1))
  await clock.advance(LEASE_MS - 1_400 - 1)
  t.equal(budget.allowed(), 10)
  await clock.advance(1)
  t.equal(budget.allowed(), 0)
  t.equal(told, 1, 'and who listens is told')
})

void t.test('a process that was stopped has nothing when it goes on, before any timer has run', async (t) => {
  const { clock, leases, attached, world } = setUp()
  const budget = attached('rate', 10)
  leases.start()
  await clock.advance(0)
  await clock.advance(0)
  t.equal(budget.allowed(), 10)
  world.skewMs = LEASE_MS
  t.equal(budget.allowed(), 0)
})

void t.test('what it asks less of is not used while the answer is under way, nor if it never comes', async (t) => {
  const { clock, leases, attached, world, demand, table } = setUp()
  demand.want = 8
  const budget = attached('rate', 10)
  table.renew({
    ...{ holder: 'other', sequence: 1, seenMs: null },
    asks: [
      {
        ...{ resource: 'requests', asked: 0, whole: false, want: 0, weight: 1, total: 10 },
        ...{ owned: [], partitions: 0, leaving: false },
      },
    ],
  })
  leases.start()
  await clock.advance(urgentGapMs)
  t.equal(budget.allowed(), 8)
  world.intercept = () => new Promise(() => {})
  demand.want = 3
  await clock.advance(renewMs)
  t.equal(table.sum('requests'), 3)
  t.equal(budget.allowed(), 3)
  demand.want = 8
  await clock.advance(leaseTimings.timeoutMs)
  t.equal(budget.allowed(), 3, 'also while it asks for more again')
})

void t.test('a lower total holds at once, also when a higher one is only on its way', async (t) => {
  const { clock, leases, attached, world, demand } = setUp()
  demand.want = 4
  world.intercept = withOther({ held: 4, want: 4 })
  const budget = attached('rate', 8)
  leases.start()
  await clock.advance(urgentGapMs)
  t.equal(budget.allowed(), 4)
  world.intercept = () => new Promise(() => {})
  budget.setTotal(16)
  await clock.advance(urgentGapMs)
  t.equal(budget.allowed(), 4)
  budget.setTotal(4)
  t.equal(budget.allowed(), 1, 'for by now the others may hold twelve')
  await clock.advance(leaseTimings.timeoutMs)
  t.equal(budget.allowed(), 0.5, 'also once the lower one was asked for: half, of which a quarter')
})

void t.test(
  'a lower total that it hears of from another row holds at once, in the same proportion for all',
  async (t) => {
    const { clock, leases, attached, world, demand } = setUp()
    demand.want = 6
    world.intercept = withOther({ held: 4, want: 0 })
    const budget = attached('rate', 10)
    leases.start()
    await clock.advance(urgentGapMs)
    t.equal(budget.allowed(), 6)
    const told: number[] = []
    budget.onChange(() => told.push(budget.allowed()))
    world.intercept = withOther({ held: 4, want: 0, total: 5 })
    await clock.advance(renewMs)
    t.equal(told[0], 3, 'before it has asked for less')
  },
)

void t.test('slots in use are asked for until they are free', async (t) => {
  const { clock, leases, attached, world, demand, requests } = setUp()
  const budget = attached('slots', 4)
  leases.start()
  await clock.advance(urgentGapMs)
  demand.want = demand.inUse = 4
  world.intercept = withOther({ want: 4, total: 4 })
  await clock.advance(renewMs)
  t.equal(budget.allowed(), 2, 'nothing new beyond the fair part')
  await clock.advance(renewMs)
  t.equal(requests.at(-1)!.asks[0]!.asked, 4)
  demand.inUse = 3
  await clock.advance(renewMs)
  t.equal(requests.at(-1)!.asks[0]!.asked, 3)
})

void t.test('hunger is told at once, not twice, and not faster than the gap', async (t) => {
  const { clock, leases, attached, world, demand, requests } = setUp()
  world.intercept = withOther({ held: 5, want: 5 })
  const budget = attached('rate', 10)
  leases.start()
  await clock.advance(300)
  t.equal(budget.allowed(), 0)
  const before = requests.length
  demand.want = 2
  budget.hungry()
  budget.hungry()
  await clock.advance(0)
  t.equal(requests.length, before + 1)
  t.equal(budget.allowed(), 2)
  budget.hungry()
  demand.want = 3
  budget.hungry()
  await clock.advance(urgentGapMs - 1)
  t.equal(requests.length, before + 1)
  await clock.advance(1)
  t.equal(requests.length, before + 2)
  t.equal(budget.allowed(), 3)
})

void t.test('while nobody answers it asks in its turn only, and says so once; then once more', async (t) => {
  const { clock, leases, attached, world, demand, requests, logged } = setUp()
  const budget = attached('rate', 10)
  leases.start()
  await clock.advance(0)
  world.intercept = () => Promise.reject(new Error('away'))
  await clock.advance(renewMs)
  const before = requests.length
  for (let step = 0; step < 100; step += 1) {
    demand.want = step / 10
    budget.hungry()
    await clock.advance(100)
  }
  t.equal(requests.length - before, 10)
  t.equal(budget.allowed(), 0)
  world.intercept = async (answer) => answer
  await clock.advance(renewMs + urgentGapMs)
  t.equal(budget.allowed(), 10)
  t.strictSame(logged, [
    'warn: leases of the budgets cannot be renewed',
    'info: leases of the budgets are renewed again',
  ])
})

void t.test('an answer that took too long does not count, even if it comes', async (t) => {
  const { clock, leases, attached, world } = setUp()
  const budget = attached('rate', 10)
  const gate = deferred()
  world.intercept = async (answer) => {
    await gate.promise
    return answer
  }
  leases.start()
  await clock.advance(leaseTimings.timeoutMs)
  world.intercept = () => new Promise(() => {})
  gate.resolve()
  await clock.settle()
  t.equal(budget.allowed(), 0)
})

void t.test('rows of another process in the same name are not its own', async (t) => {
  const { clock, leases, attached, world } = setUp()
  const budget = attached('rate', 10)
  world.intercept = async (answer) => ({ ...answer, rows: answer.rows.map((row) => ({ ...row, sequence: 77 })) })
  leases.start()
  await clock.advance(0)
  t.equal(budget.allowed(), 0)
})

void t.test('close gives back what is not in use, and leaves no timer', async (t) => {
  const { clock, leases, attached, table, demand } = setUp()
  const [rate, slots] = [attached('rate', 10), attached('slots', 4, 'slots')]
  leases.start()
  await clock.advance(urgentGapMs)
  demand.inUse = 1
  await leases.close()
  t.equal(rate.allowed(), 0)
  t.equal(slots.allowed(), 0)
  t.equal(table.sum('requests'), 0)
  t.equal(table.sum('slots'), 1)
  t.equal(clock.pending(), 0)
})

void t.test('close ends also when the table is away', async (t) => {
  const { clock, leases, attached, world } = setUp()
  attached('rate', 10)
  leases.start()
  await clock.advance(0)
  world.intercept = () => new Promise(() => {})
  const closed = leases.close()
  await clock.advance(leaseTimings.timeoutMs)
  await closed
  t.equal(clock.pending(), 0)
})

void t.test('figures say what there is', async (t) => {
  const { clock, leases, attached, demand } = setUp()
  attached('rate', 10)
  attached('slots', null, 'slots')
  demand.inUse = 2
  leases.start()
  await clock.advance(0)
  await clock.advance(urgentGapMs)
  const [rate, slots] = leases.figures()
  t.match(rate, { name: 'requests', kind: 'rate', total: 10, held: 10, allowed: 10 })
  t.ok(rate!.expiresInMs > 0 && rate!.expiresInMs <= LEASE_MS)
  t.match(slots, { name: 'slots', kind: 'slots', total: null, allowed: null, used: 2, expiresInMs: 0 })
})
