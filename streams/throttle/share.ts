/**
 * Who gets how much of a budget: weighted max-min fairness. Nobody gets more than it wants; what one leaves goes to the
 * others; of those that could use more, each has the same part per unit of weight. Pure: every process computes the same
 * from the same rows, so nobody has to decide for the others.
 */
export interface Claim {
  /** In the budget's unit; Infinity: whatever there is. */
  readonly want: number
  readonly weight: number
}

/** A process that only replays: a holder with work but without weight is slow, not stopped. */
const LEAST_WEIGHT = 0.05
/** Sums of thirds are not whole numbers to the last bit. */
const EPSILON = 1e-9
/** The golden ratio's step meets every fraction of a circle as often as it is long, however small. */
const GOLDEN = 0.6180339887498949

/** Water-filling: the most modest per weight first. @returns one share a claim, in their order. */
export function fairShares(capacity: number, claims: readonly Claim[]): number[] {
  const weightOf = (index: number) => Math.max(LEAST_WEIGHT, claims[index]!.weight)
  const modesty = (index: number) => claims[index]!.want / weightOf(index)
  const order = claims.map((_, index) => index).sort((a, b) => modesty(a) - modesty(b) || a - b)
  // Summed from the end, so that the last one's part of what is left is exactly all of it.
  const weights = order.map(weightOf)
  for (let place = weights.length - 2; place >= 0; place -= 1) weights[place]! += weights[place + 1]!
  const shares = claims.map(() => 0)
  let left = Math.max(0, capacity)
  order.forEach((index, place) => {
    const share = Math.max(0, Math.min(claims[index]!.want, left * (weightOf(index) / weights[place]!)))
    shares[index] = share
    left = Math.max(0, left - share)
  })
  return shares
}

/**
 * The same in whole slots. The fractions that are left over are drawn by systematic sampling: laid end to end on a line,
 * whoever lies over a whole number gets one slot more. `round` moves the line, so that each gets its fraction over time
 * and nobody starves; by less than a holder's width, so that few slots change hands at once (each stands idle meanwhile).
 */
export function wholeShares(capacity: number, claims: readonly Claim[], round: number): number[] {
  const slots = Math.floor(capacity + EPSILON)
  const fair = fairShares(
    slots,
    claims.map(({ want, weight }) => ({ want: Math.ceil(Math.min(want, slots)), weight })),
  ).map((share) => (Math.abs(share - Math.round(share)) < EPSILON ? Math.round(share) : share))
  const fractions = fair.map((share) => share - Math.floor(share))
  const drawn = fractions.filter((fraction) => fraction > 0).length
  const spare = Math.round(fractions.reduce((sum, fraction) => sum + fraction, 0))
  const phase = drawn === 0 ? 0 : ((round * GOLDEN) / drawn) % 1
  let end = phase
  let seen = 0
  return fair.map((share, index) => {
    if (fractions[index] === 0) return share
    seen += 1
    const start = end
    // The last end is set, not summed: exactly `spare` are given out.
    end = seen === drawn ? phase + spare : end + fractions[index]!
    return Math.floor(share) + Math.floor(end) - Math.floor(start)
  })
}
