/**
 * Group commit: what several handlers want stored at the same time goes into one transaction, together with the ledger
 * rows of their partitions. While a transaction is under way the next one gathers; nobody waits for company.
 */
import { DependencyUnavailable, Fenced, StageError, errorMessage } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import { begin, currentHolds, end, workFor } from './hold.ts'
import type { Hold } from './hold.ts'
import { partitionKey } from './ports.ts'
import type { LedgerPosition, Store, StoreWrite, WriteResult } from './ports.ts'

/** Bounds of one transaction: long ones hold row locks and, on an embedded Postgres, everybody else. */
const MAX_WRITES = 16
const MAX_ROWS = 500

interface Item {
  readonly assignment: Assignment
  readonly offset: bigint
  readonly write: StoreWrite
  /** Waits for its transaction like at a gate: whoever is in the one before it is watched. */
  readonly holds: readonly Hold[]
  readonly resolve: (result: WriteResult) => void
  readonly reject: (error: unknown) => void
}

export interface Writer {
  /** Resolves once the write and the ledger are committed. @throws Fenced, DependencyUnavailable, StageError */
  readonly write: (assignment: Assignment, offset: bigint, write: StoreWrite) => Promise<WriteResult>
  /** Brings the ledger up to the watermark where records needed no write. */
  readonly flush: (assignment: Assignment) => Promise<void>
}

export function createWriter({
  store,
  group,
  concurrency,
}: {
  store: Store
  group: string
  /** Transactions at once; read anew for each. */
  concurrency: () => number
}): Writer {
  const queue: Item[] = []
  let running = 0

  async function pump(): Promise<void> {
    if (running >= concurrency()) return
    running += 1
    while (queue.length > 0) {
      const items = takeBatch(queue)
      const holds = items.flatMap((item) => item.holds)
      for (const hold of holds) end(hold)
      await workFor(holds, () => commit(items))
    }
    running -= 1
  }
  async function commit(items: Item[]): Promise<void> {
    const live = items.filter(({ assignment, reject }) => {
      if (!assignment.alive) reject(new Fenced('the partition was lost before its write'))
      return assignment.alive
    })
    if (live.length === 0) return
    const ledger = ledgerPositions(live)
    try {
      const results = await store.transact(
        group,
        live.map(({ write }) => write),
        ledger,
      )
      for (const { assignment, nextOffset } of ledger) raise(assignment, nextOffset)
      live.forEach(({ resolve }, index) => resolve(results[index]!))
    } catch (error) {
      // A write that Postgres refuses must not fail its neighbours, and neither must one lost partition: one by one.
      const shared = error instanceof DependencyUnavailable
      if (live.length > 1 && !shared) for (const item of live) await commit([item])
      else for (const { reject } of live) reject(classify(error))
    }
  }
  return {
    write: (assignment, offset, write) =>
      new Promise((resolve, reject) => {
        const holds = currentHolds()
        for (const hold of holds) begin(hold)
        queue.push({ assignment, offset, write, holds, resolve, reject })
        void pump()
      }),
    flush: async (assignment) => {
      const nextOffset = assignment.watermark.next()
      if (!assignment.alive || assignment.ledger === null || nextOffset <= assignment.ledger) return
      const { at, epoch, ledger: known } = assignment
      await store.transact(group, [], [{ ...at, epoch, nextOffset, known }])
      raise(assignment, nextOffset)
    },
  }
}

function takeBatch(queue: Item[]): Item[] {
  let rows = 0
  let count = 0
  while (count < queue.length && count < MAX_WRITES) {
    rows += rowsOf(queue[count]!.write)
    if (count > 0 && rows > MAX_ROWS) break
    count += 1
  }
  return queue.splice(0, count)
}

const rowsOf = (write: StoreWrite) => (write.type === 'page' ? write.rows.length : write.urls.length)

/** The contiguous watermark of each partition as it will stand once this transaction commits, in key order. */
function ledgerPositions(items: readonly Item[]): (LedgerPosition & { assignment: Assignment })[] {
  const byPartition = new Map<string, { assignment: Assignment; offsets: Set<bigint> }>()
  for (const { assignment, offset } of items) {
    const key = partitionKey(assignment.at)
    const entry = byPartition.get(key) ?? { assignment, offsets: new Set() }
    byPartition.set(key, entry)
    entry.offsets.add(offset)
  }
  return [...byPartition.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { assignment, offsets }]) => ({
      ...assignment.at,
      assignment,
      epoch: assignment.epoch,
      nextOffset: assignment.watermark.nextWith(offsets),
      known: assignment.ledger ?? 0n,
    }))
}

function raise(assignment: Assignment, nextOffset: bigint) {
  if (assignment.ledger !== null && nextOffset > assignment.ledger) assignment.ledger = nextOffset
}

function classify(error: unknown): Error {
  if (error instanceof Fenced || error instanceof DependencyUnavailable || error instanceof StageError) return error
  return new StageError('write_failed', errorMessage(error), { retriable: true, cause: error })
}
