/**
 * Where a partition starts after an assignment. Kafka alone cannot be trusted here: kafkajs answers OFFSET_OUT_OF_RANGE
 * by jumping to the subscribe default and committing that, which skips records silently.
 */
export interface Positions {
  /** Next offset by the consumer group; null: never committed, or its offsets were deleted. */
  readonly committed: bigint | null
  /** Next offset by the ledger in Postgres; null: never written; undefined: the stage has none. */
  readonly ledger: bigint | null | undefined
  /** First offset that the log still holds. */
  readonly low: bigint
  /** Offset that the next produced record will get. */
  readonly high: bigint
}

export type StartDecision =
  | { readonly kind: 'start'; readonly offset: bigint; readonly note: 'committed' | 'ledger' | 'beginning' | 'rewound' }
  | { readonly kind: 'halt'; readonly reason: 'expired_unread' | 'beyond_end'; readonly wanted: bigint }

/**
 * The lower of the two positions: committed > ledger means that Postgres lost acknowledged rows (a failover, a restored
 * backup), so go back; committed < ledger means that a commit was lost or an operator replays, so do it again.
 */
export function decideStart({ committed, ledger, low, high }: Positions): StartDecision {
  if (committed === null && ledger == null)
    return low > high
      ? { kind: 'halt', reason: 'beyond_end', wanted: low }
      : { kind: 'start', offset: low, note: 'beginning' }
  // Offsets without any ledger: the tables were made anew, and what was committed is not in them.
  if (ledger === null && committed! > low && committed! <= high) return { kind: 'start', offset: low, note: 'rewound' }
  const rewound = committed !== null && ledger != null && ledger < committed
  const offset = committed === null || rewound ? ledger! : committed
  if (offset < low) return { kind: 'halt', reason: 'expired_unread', wanted: offset }
  if (offset > high) return { kind: 'halt', reason: 'beyond_end', wanted: offset }
  return { kind: 'start', offset, note: rewound ? 'rewound' : committed === null ? 'ledger' : 'committed' }
}
