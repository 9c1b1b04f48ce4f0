import fc from 'fast-check'
import t from 'tap'
import { fairShares, wholeShares } from './share.ts'
import type { Claim } from './share.ts'

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const near = (a: number, b: number) => Math.abs(a - b) < 1e-6

const want = fc.oneof(fc.constant(0), fc.constant(Infinity), fc.double({ min: 0.01, max: 50, noNaN: true }))
const weight = fc.oneof(fc.constant(1), fc.double({ min: 0.05, max: 20, noNaN: true }))
const claims = fc.array(fc.record({ want, weight }), { minLength: 1, maxLength: 8 })
const capacity = fc.double({ min: 0, max: 100, noNaN: true })
const hungry = (count: number): Claim[] => Array.from({ length: count }, () => ({ want: Infinity, weight: 1 }))

void t.test('everything wanted is given out, as far as it goes, and nothing more', async () => {
  fc.assert(
    fc.property(capacity, claims, (total, all) => {
      const shares = fairShares(total, all)
      return (
        near(sum(shares), Math.min(total, sum(all.map((claim) => claim.want)))) &&
        shares.every((share, index) => share >= 0 && share <= all[index]!.want)
      )
    }),
  )
})

void t.test(
  'of two that could use more, both have the same per weight; one that has less has all it wants',
  async () => {
    fc.assert(
      fc.property(capacity, claims, (total, all) => {
        const shares = fairShares(total, all)
        return all.every((mine, i) =>
          all.every((theirs, j) => {
            const satisfied = shares[i]! >= mine.want - 1e-9
            return satisfied || shares[i]! / mine.weight >= shares[j]! / theirs.weight - 1e-6
          }),
        )
      }),
    )
  },
)

void t.test('wants that are met leave the rest to the others, by weight', async (t) => {
  const shares = fairShares(10, [
    { want: 1, weight: 5 },
    { want: Infinity, weight: 2 },
    { want: Infinity, weight: 1 },
  ])
  t.ok([1, 6, 3].every((expected, index) => near(shares[index]!, expected)))
})

void t.test('a holder with work but without weight gets little, and not nothing', async (t) => {
  const [busy, light] = fairShares(10, [
    { want: Infinity, weight: 1 },
    { want: Infinity, weight: 0 },
  ])
  t.ok(light! > 0 && busy! > 9)
})

void t.test(
  'slots are whole, none is left over while one is wanted, and each holder is within one of its share',
  async () => {
    const slots = fc.integer({ min: 0, max: 40 })
    fc.assert(
      fc.property(slots, claims, fc.nat(10_000), (total, all, round) => {
        const whole = wholeShares(total, all, round)
        const wants = all.map((claim) => Math.ceil(Math.min(claim.want, total)))
        const fair = fairShares(
          total,
          all.map((claim, index) => ({ want: wants[index]!, weight: claim.weight })),
        )
        return (
          sum(whole) === Math.min(total, sum(wants)) &&
          whole.every(
            (share, index) =>
              Number.isInteger(share) &&
              share <= wants[index]! &&
              share >= 0 &&
              Math.abs(share - fair[index]!) < 1 + 1e-6,
          )
        )
      }),
    )
  },
)

void t.test('four slots among six hungry holders go round: each has its two thirds, nobody waits long', async (t) => {
  const holders = hungry(6)
  const had = [0, 0, 0, 0, 0, 0]
  const without = [0, 0, 0, 0, 0, 0]
  let longest = 0
  let moved = 0
  let before = wholeShares(4, holders, 0)
  const rounds = 3_000
  for (let round = 1; round <= rounds; round += 1) {
    const now = wholeShares(4, holders, round)
    now.forEach((slots, index) => {
      had[index]! += slots
      without[index] = slots === 0 ? without[index]! + 1 : 0
      longest = Math.max(longest, without[index])
      moved += Math.max(0, slots - before[index]!)
    })
    before = now
  }
  t.ok(had.every((slots) => Math.abs(slots / rounds - 4 / 6) < 0.01))
  t.ok(longest <= 4, `longest wait: ${longest} rounds`)
  t.ok(moved / rounds <= 1, `slots that change hands a round: ${moved / rounds}`)
})

void t.test('over the rounds every holder that wants a slot gets one, in the measure of its fair share', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), claims, (total, all) => {
      const rounds = 4_000
      const sums = all.map(() => 0)
      for (let round = 0; round < rounds; round += 1)
        wholeShares(total, all, round).forEach((slots, index) => (sums[index]! += slots))
      const fair = fairShares(
        total,
        all.map((claim) => ({ ...claim, want: Math.ceil(Math.min(claim.want, total)) })),
      )
      return sums.every((slots, index) => Math.abs(slots / rounds - fair[index]!) < 0.03)
    }),
    { numRuns: 30 },
  )
})
