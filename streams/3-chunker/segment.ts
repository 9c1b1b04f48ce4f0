/** Optimal cutting of a row of units into segments: the cheapest sum of size and cut costs, by dynamic programming. */

export interface Limits {
  /** Size that costs nothing. */
  readonly aim: number
  /** No segment is larger, unless one unit alone is. */
  readonly limit: number
}

export interface Row {
  readonly length: number
  /** Tokens of unit i, at least 1: no more than `limit` units are tried for a segment. */
  readonly size: (i: number) => number
  /** Cost of a cut before unit i; negative where a cut is welcome. */
  readonly cut: (i: number) => number
  /** Tokens repeated at the head of a segment that begins with unit i. */
  readonly repeated: (i: number) => number
}

/** Indices of the units that begin a segment, ascending, 0 first. Equal costs go to the larger last segment. */
export function segment(row: Row, { aim, limit }: Limits): number[] {
  const best = new Float64Array(row.length + 1)
  const begin = new Uint32Array(row.length + 1)
  for (let end = 1; end <= row.length; end++) {
    best[end] = Infinity
    let size = 0
    for (let i = end - 1; i >= 0; i--) {
      size += Math.max(1, row.size(i))
      if (size > limit && i < end - 1) break
      const whole = size + row.repeated(i)
      if (whole > limit && i < end - 1) continue
      const cost = (best[i] ?? 0) + (i > 0 ? row.cut(i) : 0) + sizeCost(whole, aim)
      if (cost <= (best[end] ?? 0)) {
        best[end] = cost
        begin[end] = i
      }
    }
  }
  const starts: number[] = []
  for (let end = row.length; end > 0; end = begin[end] ?? 0) starts.push(begin[end] ?? 0)
  return starts.reverse()
}

/** 0 at the aim, 1 for nothing at all; above the aim it rises as fast again, for a segment says one thing. */
const sizeCost = (size: number, aim: number) => ((size - aim) / aim) ** 2
