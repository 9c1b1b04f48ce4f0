/** Repetitions of one measurement: their least, middle and greatest. */
export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** @throws RangeError without any value */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('a spread needs at least one value')
  const ordered = values.toSorted((a, b) => a - b)
  const middle = ordered.length >> 1
  const median = ordered.length % 2 === 1 ? ordered[middle]! : (ordered[middle - 1]! + ordered[middle]!) / 2
  return { min: ordered[0]!, median, max: ordered.at(-1)! }
}

/** Nearest rank: the least value that `share` of all values do not exceed. @throws RangeError without any value */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('a percentile needs at least one value')
  const ordered = values.toSorted((a, b) => a - b)
  return ordered[Math.max(0, Math.ceil(share * ordered.length) - 1)]!
}

export const formatSpread = ({ min, median, max }: Spread, format: (value: number) => string) =>
  `${format(median)} (${format(min)} to ${format(max)})`
