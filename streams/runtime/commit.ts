/** The one place where a consumer's offsets move. */
import type { Consumer, EachBatchPayload } from 'kafkajs'
import { errorMessage } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import type { Clock, Logger } from './ports.ts'

const COMMIT_EVERY_MS = 250
/** After a commit or flush that failed: not in a tight loop. */
const BREATHER_MS = 1_000

export interface Committer {
  /** A batch was taken in: fetch goes on behind it. The group's offset stays where the settled records end. */
  readonly fetched: (assignment: Assignment, payload: EachBatchPayload) => void
  /** Something of this partition was settled: committed soon, with whatever else is due by then. */
  readonly settled: (assignment: Assignment) => void
  /** Commits what is settled now. @returns whether all of it is committed. */
  readonly commitNow: () => Promise<boolean>
  /**
   * kafkajs jumped to another offset and committed that: our position goes back, so that the next owner halts as well.
   * Tried until it works or the partition is lost.
   */
  readonly recommit: (assignment: Assignment, payload: EachBatchPayload) => void
  /** What a commit was answered with since the last join, if it asks to join again: kafkajs must hear it, once. */
  readonly asksToRejoin: () => unknown
  /** The group was joined: what was said of the former generation is over. */
  readonly joined: () => void
  readonly close: () => void
}

interface Dependencies {
  /** Brings the ledger up to the watermark where records needed no write. @returns whether the ledger is up to it. */
  readonly flush: (assignment: Assignment) => Promise<boolean>
  /** Its own commit: only before any batch has come, when control records alone were passed. */
  readonly consumer: Pick<Consumer, 'commitOffsets'>
  readonly clock: Clock
  readonly logger: Logger
}

type Commit = EachBatchPayload['commitOffsetsIfNecessary']

/**
 * Commit moves the group's offset, resolve the fetch position. The fetch position runs ahead of what is committed, by
 * what the window holds; both only move forward. With a ledger, what is committed never passes what Postgres holds:
 * committed ≤ ledger at any moment.
 */
export function createCommitter({ flush, consumer, clock, logger }: Dependencies): Committer {
  const dirty = new Set<Assignment>()
  const consumerCommit: Commit = async (offsets) => {
    const topics = offsets?.topics ?? []
    await consumer.commitOffsets(
      topics.flatMap(({ topic, partitions }) => partitions.map((one) => ({ topic, ...one }))),
    )
  }
  /** The payload's own, from the first batch on: consumer.commitOffsets is dropped silently once stop() has begun. */
  let commit = consumerCommit
  let rejoin: unknown
  let cancel: (() => void) | undefined
  let running: Promise<boolean> | undefined
  let closed = false

  function schedule(inMs: number) {
    if (closed) return
    cancel ??= clock.after(inMs, () => {
      cancel = undefined
      void commitNow()
    })
  }
  function commitNow(): Promise<boolean> {
    running ??= commitAll().finally(() => {
      running = undefined
      if (dirty.size > 0) schedule(BREATHER_MS)
    })
    return running
  }
  async function commitAll(): Promise<boolean> {
    const due = [...dirty].filter(({ alive }) => alive)
    dirty.clear()
    for (const assignment of due) if (!(await flush(assignment))) dirty.add(assignment)
    const moved = due.filter((assignment) => assignment.alive && durable(assignment) > assignment.committed)
    if (moved.length > 0) await send(moved)
    return dirty.size === 0
  }
  async function send(moved: readonly Assignment[]) {
    const offsets = new Map(moved.map((assignment) => [assignment, durable(assignment)]))
    try {
      await commit({ topics: byTopic(offsets) })
      for (const [assignment, offset] of offsets) {
        assignment.committed = offset
        assignment.committedAtMs = clock.now()
      }
    } catch (error) {
      for (const assignment of moved) if (assignment.alive) dirty.add(assignment)
      if (isRejoin(error)) rejoin = error
      logger.warn({ partitions: moved.length, error: errorMessage(error) }, 'offset commit failed')
    }
  }
  async function recommit(assignment: Assignment): Promise<void> {
    if (!assignment.alive || closed) return
    const offset = durable(assignment)
    try {
      await commit({ topics: byTopic(new Map([[assignment, offset]])) })
      assignment.committed = offset
    } catch (error) {
      if (isRejoin(error)) rejoin = error
      logger.warn({ ...assignment.at, error: errorMessage(error) }, 'the offset of a halted partition was not put back')
      clock.after(BREATHER_MS, () => void recommit(assignment))
    }
  }
  return {
    fetched: (assignment, payload) => {
      commit = payload.commitOffsetsIfNecessary
      const last = payload.batch.messages.at(-1)
      if (last && assignment.alive) payload.resolveOffset(last.offset)
    },
    settled: (assignment) => {
      dirty.add(assignment)
      schedule(COMMIT_EVERY_MS)
    },
    commitNow: async () => {
      await running
      return commitNow()
    },
    recommit: (assignment, payload) => {
      commit = payload.commitOffsetsIfNecessary
      void recommit(assignment)
    },
    asksToRejoin: () => {
      const told = rejoin
      rejoin = undefined
      return told
    },
    joined: () => {
      rejoin = undefined
      // That of a batch before a restart speaks for a member that is gone.
      commit = consumerCommit
    },
    close: () => {
      closed = true
      cancel?.()
    },
  }
}

function durable({ watermark, ledger }: Assignment): bigint {
  const next = watermark.next()
  return ledger === null || next < ledger ? next : ledger
}

function byTopic(offsets: ReadonlyMap<Assignment, bigint>) {
  const topics = new Map<string, { partition: number; offset: string }[]>()
  for (const [{ at }, offset] of offsets) {
    const partitions = topics.get(at.topic) ?? []
    topics.set(at.topic, partitions)
    partitions.push({ partition: at.partition, offset: String(offset) })
  }
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}

/** What tells kafkajs to join again must reach it: swallowed, we would go on in a generation that has ended. */
const isRejoin = (error: unknown): boolean =>
  ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'NOT_COORDINATOR_FOR_GROUP', 'UNKNOWN_MEMBER_ID'].includes(
    String((error as { type?: unknown } | null)?.type),
  )
