/**
 * How many records of a partition lie below an offset: what a replay's row says it has done. Kept by offset, not added up
 * as records end, so that a record that is delivered twice counts once and a transaction can be tried again.
 */
export interface RecordCount {
  /** This record is worked on. Those that were counted before the start of this process are left out. */
  readonly note: (partition: number, offset: bigint) => void
  readonly below: (partition: number, offset: bigint) => number
  /** Everything below is durable and never asked for again: its offsets need not be kept. */
  readonly fold: (partition: number, offset: bigint) => void
}

interface Counted {
  from: bigint
  count: number
  /** Ascending, each once. */
  offsets: bigint[]
}

interface Start {
  readonly partition: number
  readonly next: bigint
  readonly records: number
}

export function createRecordCount(starts: readonly Start[]): RecordCount {
  const partitions = new Map(
    starts.map(({ partition, next, records }): [number, Counted] => [
      partition,
      { from: next, count: records, offsets: [] },
    ]),
  )
  return {
    note: (partition, offset) => {
      const counted = partitions.get(partition)
      if (!counted || offset < counted.from) return
      const at = lowerBound(counted.offsets, offset)
      if (counted.offsets[at] !== offset) counted.offsets.splice(at, 0, offset)
    },
    below: (partition, offset) => {
      const counted = partitions.get(partition)
      return counted ? counted.count + lowerBound(counted.offsets, offset) : 0
    },
    fold: (partition, offset) => {
      const counted = partitions.get(partition)
      if (!counted || offset <= counted.from) return
      const passed = lowerBound(counted.offsets, offset)
      counted.offsets.splice(0, passed)
      counted.count += passed
      counted.from = offset
    },
  }
}

/** How many are less than `offset`. */
function lowerBound(offsets: readonly bigint[], offset: bigint): number {
  let [low, high] = [0, offsets.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsets[middle]! < offset) low = middle + 1
    else high = middle
  }
  return low
}
