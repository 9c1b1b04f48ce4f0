/**
 * Which partitions this member owns, since which epoch, and where each stands. A new assignment starts paused
 * (`offset-guard`) until its claim is in the ledger and its start is checked; only then are records fetched.
 */
import { errorMessage } from '../errors.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import { withinRange } from './replay.ts'
import type { Range } from './replay.ts'
import type { Claim, Clock, Logger, OffsetPositions, TopicPartition } from './ports.ts'
import { decideStart } from './start-position.ts'
import { createWatermark } from './watermark.ts'
import type { Watermark } from './watermark.ts'

/** One partition during one assignment. `alive` falls at the next rebalance: then write nothing more, commit nothing. */
export interface Assignment {
  readonly at: TopicPartition
  alive: boolean
  ready: boolean
  epoch: bigint
  watermark: Watermark
  /** Next offset to take from the log: what lies between it and the watermark is in the window. */
  position: bigint
  /** End of the log as the last fetch showed it. */
  end: bigint
  /** A replay's: nothing from this offset on is taken. null: the live stage, which has no end. */
  until: bigint | null
  /** Next offset as durable in Postgres; null for stages without a ledger. */
  ledger: bigint | null
  /** Next offset as committed in Kafka. */
  committed: bigint
  /** When it was committed last, or the partition was assigned. */
  committedAtMs: number
  /** A dependency is being tried again through this partition: one record at a time until one succeeds. */
  probing: boolean
}

interface Dependencies {
  readonly scheduler: PauseScheduler
  /** null: a stage without a ledger. */
  readonly claim: ((partitions: readonly TopicPartition[]) => Promise<Map<string, Claim>>) | null
  readonly positions: (partitions: readonly TopicPartition[]) => Promise<Map<string, OffsetPositions>>
  readonly seek: (at: TopicPartition, offset: bigint) => void
  readonly clock: Clock
  readonly logger: Logger
  readonly retryMs: number
  /** An assignment has ended without a rebalance: its run ends too. */
  readonly onLost?: () => void
  /** A replay's; partitions without one are read by nobody. */
  readonly ranges?: ReadonlyMap<number, Range>
  readonly onHalt?: (at: TopicPartition, reason: string) => void
}

export interface Assignments {
  readonly replace: (partitions: readonly TopicPartition[]) => void
  /** The ledger says that another member has claimed the partition: claim again if it is still ours. */
  readonly reclaim: (assignment: Assignment) => void
  readonly get: (at: TopicPartition) => Assignment | undefined
  readonly all: () => Assignment[]
  readonly halt: (assignment: Assignment, reason: string, detail: object) => void
}

export function createAssignments(deps: Dependencies): Assignments {
  const { scheduler, claim, positions, seek, clock, logger, retryMs, ranges } = deps
  let current = new Map<string, Assignment>()

  function fresh(at: TopicPartition): Assignment {
    return {
      at,
      alive: true,
      ready: false,
      epoch: 0n,
      watermark: createWatermark(0n),
      position: 0n,
      end: 0n,
      until: ranges?.get(at.partition)?.to ?? null,
      ledger: null,
      committed: -1n,
      committedAtMs: clock.now(),
      probing: false,
    }
  }
  /** Claims and checks; while Postgres or Kafka is away it tries again, and the partitions stay paused. */
  async function guard(assignments: readonly Assignment[]): Promise<void> {
    const wanted = assignments.filter(({ alive, ready, at }) => alive && !ready && isRead(at))
    if (wanted.length === 0) return
    const partitions = wanted.map(({ at }) => at)
    try {
      // The claim comes first: from here on a zombie's write is refused, so what is read next cannot move under us.
      const claims = await claim?.(partitions)
      const offsets = await positions(partitions)
      const unknown: string[] = []
      for (const assignment of wanted) {
        const key = partitionKey(assignment.at)
        const [mine, bounds] = [claims?.get(key), offsets.get(key)]
        // One that nobody can tell of (its partition has no leader) must not keep the others closed.
        if (!bounds || (claim && !mine)) unknown.push(key)
        else if (assignment.alive) open(assignment, mine, bounds)
      }
      if (unknown.length > 0) throw new Error(`no position is known yet of ${unknown.join(', ')}`)
    } catch (error) {
      logger.warn(
        { partitions: partitions.length, error: errorMessage(error) },
        'claiming partitions failed, trying again',
      )
      clock.after(retryMs, () => void guard(assignments))
    }
  }
  const isRead = ({ partition }: TopicPartition) => !ranges || ranges.has(partition)

  function open(assignment: Assignment, mine: Claim | undefined, offsets: OffsetPositions) {
    const range = ranges?.get(assignment.at.partition)
    const positions = { ...offsets, ledger: claim ? (mine?.nextOffset ?? null) : undefined }
    const decision = decideStart(range ? withinRange(positions, range) : positions)
    if (decision.kind === 'halt') return halt(assignment, decision.reason, { ...offsets, wanted: decision.wanted })
    if (decision.note === 'rewound')
      logger.error(
        { ...assignment.at, ...offsets, ledger: decision.offset },
        'Postgres lost rows: going back to the ledger',
      )
    assignment.epoch = mine?.epoch ?? 0n
    assignment.ledger = claim ? (mine?.nextOffset ?? decision.offset) : null
    assignment.committed = decision.note === 'rewound' ? decision.offset : (offsets.committed ?? -1n)
    assignment.watermark = createWatermark(decision.offset)
    assignment.position = decision.offset
    assignment.end = offsets.high
    // Always, also when it is the committed offset: kafkajs may stand elsewhere (a reclaim keeps its fetch position, and a
    // seek that was queued before the partition was lost fires now).
    seek(assignment.at, decision.offset)
    assignment.ready = true
    if (range && decision.offset >= range.to) scheduler.pause(assignment.at, 'range-end')
    else scheduler.lift(assignment.at, 'range-end')
    scheduler.lift(assignment.at, 'offset-guard')
  }
  function halt(assignment: Assignment, reason: string, detail: object) {
    assignment.ready = false
    scheduler.pause(assignment.at, 'offset-guard')
    logger.error(
      { ...assignment.at, reason, ...detail },
      'partition halted: its next record is not in the log; see ops/docs/runbooks.md#lost-offsets',
    )
    deps.onHalt?.(assignment.at, reason)
  }
  return {
    replace: (partitions) => {
      for (const assignment of current.values()) assignment.alive = false
      current = new Map(partitions.map((at) => [partitionKey(at), fresh(at)]))
      scheduler.reconcile(partitions, 'offset-guard')
      for (const at of partitions) {
        if (isRead(at)) continue
        scheduler.pause(at, 'range-end')
        scheduler.lift(at, 'offset-guard')
      }
      void guard([...current.values()])
    },
    reclaim: (assignment) => {
      if (!assignment.alive) return
      assignment.alive = false
      const again = fresh(assignment.at)
      current.set(partitionKey(assignment.at), again)
      scheduler.pause(assignment.at, 'offset-guard')
      deps.onLost?.()
      // Not at once: a real new owner deserves the time in which our next heartbeat tells us that we lost it.
      clock.after(retryMs, () => void guard([again]))
    },
    get: (at) => current.get(partitionKey(at)),
    all: () => [...current.values()],
    halt,
  }
}
