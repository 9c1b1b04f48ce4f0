import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createTestDatabase } from '../../ops/testing/database.ts'
import { createLeaseTableModel } from '../../streams/throttle/leases-model.ts'
import { leaseTimings } from '../../streams/throttle/leases-port.ts'
import type { LeaseAnswer, LeaseAsk, LeaseRequest } from '../../streams/throttle/leases-port.ts'
import { createBudgetLeases } from './budget-leases.ts'

const database = await createTestDatabase()
const { db } = database
t.teardown(database.close)

const START_MS = 1_700_000_000_000
const ask = (given: Partial<LeaseAsk> = {}): LeaseAsk => ({
  ...{ resource: 'requests', asked: 10, whole: false, want: 10, weight: 1, total: 10 },
  ...{ owned: [], partitions: 0, leaving: false },
  ...given,
})
const request = (given: Partial<LeaseRequest> = {}): LeaseRequest => ({
  ...{ holder: 'a', sequence: 1, seenMs: null, asks: [ask()] },
  ...given,
})
/** On a table of its own, at a time that the test moves. */
async function setUp() {
  await db.raw('truncate budget_leases')
  let nowMs = START_MS
  const table = createBudgetLeases({ db, now: () => new Date(nowMs) })
  const heldBy = ({ rows }: LeaseAnswer, holder: string) => rows.find((row) => row.holder === holder)?.held
  return { table, heldBy, now: () => nowMs, pass: (ms: number) => (nowMs += ms) }
}

t.test('what is held by others is not given out, until their leases end', async (t) => {
  const { table, heldBy, pass } = await setUp()
  t.equal(heldBy(await table.renew(request({ asks: [ask({ asked: 7 })] })), 'a'), 7)
  t.equal(heldBy(await table.renew(request({ holder: 'b' })), 'b'), 3)
  pass(leaseTimings.ttlMs - 1)
  t.equal(heldBy(await table.renew(request({ holder: 'b', sequence: 2 })), 'b'), 3)
  pass(1)
  t.equal(heldBy(await table.renew(request({ holder: 'b', sequence: 3 })), 'b'), 10)
})

t.test('the least total of all live rows counts, and a live lease shrinks only at its holder’s word', async (t) => {
  const { table, heldBy } = await setUp()
  await table.renew(request({ asks: [ask({ asked: 6 })] }))
  const lower = await table.renew(request({ holder: 'b', asks: [ask({ total: 4 })] }))
  t.equal(heldBy(lower, 'b'), 0)
  t.equal(heldBy(await table.renew(request({ sequence: 2 })), 'a'), 6)
  t.equal(heldBy(await table.renew(request({ sequence: 3, asks: [ask({ asked: 3 })] })), 'a'), 3)
  t.equal(heldBy(await table.renew(request({ holder: 'b', sequence: 2 })), 'b'), 7)
  await table.renew(request({ holder: 'c', asks: [ask({ asked: 0, total: 8 })] }))
  t.equal(heldBy(await table.renew(request({ sequence: 4, asks: [ask({ asked: 0 })] })), 'a'), 0)
  t.equal(heldBy(await table.renew(request({ sequence: 5 })), 'a'), 1)
})

t.test('a request that was overtaken changes nothing', async (t) => {
  const { table, heldBy } = await setUp()
  await table.renew(request({ sequence: 2 }))
  const { rows } = await table.renew(request({ sequence: 1, asks: [ask({ asked: 1 })] }))
  t.match(rows, [{ holder: 'a', held: 10, sequence: 2 }])
  t.equal(heldBy(await table.renew(request({ holder: 'b' })), 'b'), 0)
})

t.test('slots are given out whole, also where part of the total is left alone', async (t) => {
  const { table, heldBy } = await setUp()
  const asks = [ask({ whole: true, asked: 5, total: 5, owned: ['p/0', 'p/1'], partitions: 3 })]
  t.equal(heldBy(await table.renew(request({ asks })), 'a'), 3)
})

t.test('the floors of processes that have not heard an answer for long are left alone', async (t) => {
  const { table, heldBy, now, pass } = await setUp()
  const mine = (key: string) => [ask({ owned: [key], partitions: 2 })]
  t.equal(heldBy(await table.renew(request({ asks: mine('p/0') })), 'a'), 5, 'the other half is nobody’s yet')
  const seenMs = now()
  await table.renew(request({ sequence: 2, seenMs, asks: [ask({ asked: 0, owned: ['p/0'], partitions: 2 })] }))
  t.equal(heldBy(await table.renew(request({ holder: 'b', asks: mine('p/1') })), 'b'), 10)
  for (let sequence = 3; now() < seenMs + leaseTimings.graceMs; sequence += 1) {
    pass(1_000)
    // a is heard, but it says itself that it hears nothing.
    await table.renew(request({ sequence, seenMs, asks: [ask({ asked: 0, owned: ['p/0'], partitions: 2 })] }))
  }
  t.equal(heldBy(await table.renew(request({ holder: 'b', sequence: 2, asks: mine('p/1') })), 'b'), 5)
})

t.test('all budgets of a process are renewed in one statement; leaving gives up what is not in use', async (t) => {
  const { table } = await setUp()
  const asks = ['requests', 'tokens', 'slots'].map((resource) => ask({ resource }))
  t.equal((await table.renew(request({ asks }))).rows.length, 3)
  const leaving = asks.map((each) => ({ ...each, leaving: true, asked: each.resource === 'slots' ? 2 : 0 }))
  const { rows } = await table.renew(request({ sequence: 2, asks: leaving }))
  t.match(rows, [{ resource: 'slots', held: 2 }])
})

t.test('rows that ended long ago are deleted', async (t) => {
  const { table, pass } = await setUp()
  await table.renew(request())
  pass(11 * 60_000)
  await table.renew(request({ holder: 'b' }))
  t.strictSame(await db('budget_leases').pluck('holder'), ['b'])
})

t.test('the time is the database’s', async (t) => {
  await db.raw('truncate budget_leases')
  const { rows } = await db.raw('select extract(epoch from clock_timestamp()) * 1000 as ms')
  const answer = await createBudgetLeases({ db }).renew(request())
  t.ok(answer.nowMs >= Math.floor(Number(rows[0].ms)) && answer.rows[0]!.expiresInMs === leaseTimings.ttlMs)
})

t.test('it refuses to run on a snapshot that may be old', async (t) => {
  const old = db.transaction((trx) => createBudgetLeases({ db: trx }).renew(request()), {
    isolationLevel: 'repeatable read',
  })
  await t.rejects(old, /read committed/)
})

const holder = fc.constantFrom('a', 'b', 'c')
const keys = ['p/0', 'p/1', 'p/2', 'p/3']
const step = fc.record({
  holder,
  passMs: fc.constantFrom(0, 1, 400, 1_000, 4_000, 12_000, 700_000),
  behind: fc.nat({ max: 2 }),
  seenAgoMs: fc.constantFrom(null, 0, 500, 5_000, 11_999, 12_000),
  asks: fc.uniqueArray(
    fc.record({
      resource: fc.constantFrom('requests', 'slots'),
      asked: fc.double({ min: 0, max: 12, noNaN: true }),
      want: fc.constantFrom(0, 1.5, 8),
      weight: fc.constantFrom(0, 1, 3),
      total: fc.constantFrom(4, 7.5, 10),
      owned: fc.subarray(keys),
      partitions: fc.constantFrom(0, 4, 4, 5),
      leaving: fc.boolean(),
    }),
    { selector: ({ resource }) => resource, minLength: 1 },
  ),
})

t.test('the model in memory and the function agree on everything', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
      const { table, now, pass } = await setUp()
      const model = createLeaseTableModel(now)
      let sequence = 10
      for (const { holder, passMs, behind, seenAgoMs, asks } of steps) {
        pass(passMs)
        sequence += 1
        const renewal: LeaseRequest = {
          holder,
          sequence: sequence - behind,
          seenMs: seenAgoMs === null ? null : now() - seenAgoMs,
          asks: asks.map((each) => ({
            ...each,
            whole: each.resource === 'slots',
            asked: each.resource === 'slots' ? Math.floor(each.asked) : each.asked,
          })),
        }
        const told = comparable(await table.renew(renewal))
        const expected = comparable(model.renew(renewal))
        if (told !== expected) throw new Error(`the function says\n${told}\nthe model\n${expected}`)
      }
    }),
    { numRuns: 40 },
  )
})
const comparable = ({ rows }: LeaseAnswer) =>
  rows
    .map(({ resource, holder, held, want, weight, total, covered, sequence, expiresInMs }) =>
      [resource, holder, held.toFixed(9), want, weight, total, covered.toFixed(9), sequence, expiresInMs].join(' '),
    )
    .sort()
    .join('\n')

t.test('many at once: never more is held than there is', async (t) => {
  await db.raw('truncate budget_leases')
  const table = createBudgetLeases({ db })
  const most = { requests: 10, slots: 4 }
  const rounds = database.isReal ? 60 : 5
  let greatest = 0
  await Promise.all(
    Array.from({ length: 8 }, async (_, member) => {
      const name = randomUUID()
      for (let sequence = 1; sequence <= rounds; sequence += 1) {
        const asked = (member * 7 + sequence * 3) % 5
        const { rows } = await table.renew({
          ...{ holder: name, sequence, seenMs: null },
          asks: [
            ask({ asked, total: most.requests }),
            ask({ resource: 'slots', whole: true, asked, total: most.slots }),
          ],
        })
        for (const resource of ['requests', 'slots'] as const) {
          const sum = rows.filter((row) => row.resource === resource).reduce((all, { held }) => all + held, 0)
          greatest = Math.max(greatest, sum / most[resource])
        }
      }
    }),
  )
  t.ok(greatest <= 1 + 1e-9, `${greatest} of the total`)
  t.ok(greatest > 0.9, 'and it was worth asking for')
})

t.test(
  'a lock that is kept does not keep a process waiting for long',
  { skip: !database.isReal && 'needs a real Postgres: PGlite is one session' },
  async (t) => {
    await db.raw('truncate budget_leases')
    await db.transaction(async (trx) => {
      await createBudgetLeases({ db: trx }).renew(request())
      await t.rejects(createBudgetLeases({ db }).renew(request({ holder: 'b' })), { message: /lock timeout/ })
    })
    t.match((await createBudgetLeases({ db }).renew(request({ holder: 'b' }))).rows, { length: 2 })
  },
)
