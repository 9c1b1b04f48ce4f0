import fc from 'fast-check'
import t from 'tap'
import { decideStart } from './start-position.ts'

const table: [
  string,
  [committed: bigint | null, ledger: bigint | null | undefined, low: bigint, high: bigint],
  string,
][] = [
  ['a new group starts at the beginning of the log', [null, null, 7n, 90n], 'start 7 beginning'],
  ['an empty log is no exception', [null, null, 0n, 0n], 'start 0 beginning'],
  ['a stage without a ledger: the group decides', [30n, undefined, 7n, 90n], 'start 30 committed'],
  ['the ledger is gone with its tables: from the beginning', [30n, null, 7n, 90n], 'start 7 rewound'],
  ['no ledger yet and nothing read: the beginning', [7n, null, 7n, 90n], 'start 7 committed'],
  ['both agree', [30n, 30n, 7n, 90n], 'start 30 committed'],
  ['a commit was lost: redone, as the ledger makes it harmless', [30n, 40n, 7n, 90n], 'start 30 committed'],
  ['the group was deleted: on from the ledger', [null, 40n, 7n, 90n], 'start 40 ledger'],
  ['Postgres lost rows: back to the ledger', [40n, 30n, 7n, 90n], 'start 30 rewound'],
  ['caught up', [90n, 90n, 7n, 90n], 'start 90 committed'],
  ['the first record there is', [7n, 7n, 7n, 90n], 'start 7 committed'],
  ['records expired unread: never skipped', [6n, null, 7n, 90n], 'halt expired_unread 6'],
  ['expired by the ledger alone', [40n, 6n, 7n, 90n], 'halt expired_unread 6'],
  ['expired, and the group was deleted', [null, 6n, 7n, 90n], 'halt expired_unread 6'],
  ['a topic created anew: its log ends before us', [91n, null, 0n, 90n], 'halt beyond_end 91'],
  ['created anew, known by the ledger', [null, 91n, 0n, 90n], 'halt beyond_end 91'],
]

for (const [name, [committed, ledger, low, high], expected] of table)
  void t.test(name, async (t) => {
    const decision = decideStart({ committed, ledger, low, high })
    const got =
      decision.kind === 'start'
        ? `start ${decision.offset} ${decision.note}`
        : `halt ${decision.reason} ${decision.wanted}`
    t.equal(got, expected)
  })

void t.test('no start lies beyond what is known to be done, nor outside the log', async (t) => {
  const offset = fc.bigInt({ min: 0n, max: 20n })
  fc.assert(
    fc.property(fc.option(offset), fc.option(offset), offset, offset, (committed, ledger, low, length) => {
      const high = low + length
      const decision = decideStart({ committed, ledger, low, high })
      const known = [committed, ledger].filter((one) => one !== null)
      if (decision.kind === 'halt') return known.some((one) => one === decision.wanted && (one < low || one > high))
      if (decision.offset < low || decision.offset > high) return false
      return known.every((one) => decision.offset <= one)
    }),
  )
  t.pass()
})
