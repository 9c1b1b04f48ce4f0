/** A bounded part of a stage's topic, worked in a group of its own beside the live one: where it starts and when it ends. */
import { errorMessage } from '../errors.ts'
import { partitionKey } from './ports.ts'
import type { Clock, Logger, OffsetPositions, PositionReader, TopicPartition } from './ports.ts'
import type { Positions } from './start-position.ts'

export interface Replay {
  /** Whole group id, with the prefix. */
  readonly group: string
  /** Per partition of the stage's topic: first offset, and the offset to end before. Partitions not named are read by nobody. */
  readonly ranges: ReadonlyMap<number, Range>
  /** Records for which this is false count as done without being handed to the stage. Absent: all are handed over. */
  readonly accepts?: (record: { readonly key: string | null; readonly timestampMs: number }) => boolean
}

export interface Range {
  readonly from: bigint
  readonly to: bigint
}

/** What stands before the range says nothing of it: the log begins where the range does. */
export function withinRange({ committed, ledger, low, high }: Positions, { from }: Range): Positions {
  return {
    committed: committed !== null && committed < from ? null : committed,
    ledger: ledger != null && ledger < from ? null : ledger,
    low: low > from ? low : from,
    high,
  }
}

/** Between two looks at what the group has committed: its members may be in several processes. */
const LOOK_EVERY_MS = 1_000

interface EndDependencies {
  readonly replay: Replay
  readonly topic: string
  readonly positions: PositionReader
  readonly clock: Clock
  readonly logger: Logger
}

export interface ReplayEnd {
  /** Every range is settled and committed, whoever in the group did it. Rejects when a part of one cannot be read. */
  readonly finished: Promise<void>
  readonly start: () => void
  readonly fail: (error: Error) => void
  readonly close: () => void
}

/**
 * The group's committed offsets tell, not what this member did: a partition may have been another's, or have been done
 * before a restart. A range whose records have all expired is done too: nobody can read it.
 */
export function createReplayEnd({ replay, topic, positions, clock, logger }: EndDependencies): ReplayEnd {
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>()
  finished.catch(() => {}) // heard by whoever awaits it; nobody has to
  const open = new Map([...replay.ranges].filter(([, { from, to }]) => from < to))
  let cancel = () => {}
  let closed = false

  async function look() {
    try {
      const partitions = [...open.keys()].map((partition): TopicPartition => ({ topic, partition }))
      const known =
        partitions.length > 0 ? await positions.read(replay.group, partitions) : new Map<string, OffsetPositions>()
      for (const at of partitions)
        if (isDone(known.get(partitionKey(at)), open.get(at.partition)!)) open.delete(at.partition)
    } catch (error) {
      logger.warn({ error: errorMessage(error) }, 'how far the replay is could not be read, trying again')
    }
    if (closed) return
    if (open.size === 0) resolve()
    else cancel = clock.after(LOOK_EVERY_MS, () => void look())
  }
  return {
    finished,
    start: () => void look(),
    fail: reject,
    close: () => {
      closed = true
      cancel()
    },
  }
}

const isDone = (known: OffsetPositions | undefined, { to }: Range): boolean =>
  known !== undefined && ((known.committed !== null && known.committed >= to) || known.low >= to)
