/** What whoever looks again and again has seen move: how long a partition stood still, and how fast a group goes. */
export interface Watched {
  /** One look at a partition. */
  readonly look: (key: string, group: string, committed: bigint, lag: bigint) => void
  /** Since the first look, since it moved, or since there was something to do. */
  readonly stillMs: (key: string) => number
  /** Offsets a second over the last minute, of a whole group; null: not watched for long enough. */
  readonly perSecond: (group: string) => number | null
}

const WINDOW_MS = 60_000
const LEAST_MS = 5_000

export function createWatched(now: () => number): Watched {
  const partitions = new Map<string, { committed: bigint; sinceMs: number }>()
  const groups = new Map<
    string,
    { readonly startedMs: number; moves: { readonly atMs: number; readonly by: number }[] }
  >()

  return {
    look: (key, group, committed, lag) => {
      const nowMs = now()
      const before = partitions.get(key)
      const moved = before === undefined || committed !== before.committed
      if (moved || lag === 0n) partitions.set(key, { committed, sinceMs: nowMs })
      const known = groups.get(group) ?? { startedMs: nowMs, moves: [] }
      groups.set(group, known)
      // In order of time: once a look, not once a partition.
      if (known.moves[0] && known.moves[0].atMs <= nowMs - WINDOW_MS)
        known.moves = known.moves.filter(({ atMs }) => atMs > nowMs - WINDOW_MS)
      if (before && committed > before.committed)
        known.moves.push({ atMs: nowMs, by: Number(committed - before.committed) })
    },
    stillMs: (key) => now() - (partitions.get(key)?.sinceMs ?? now()),
    perSecond: (group) => {
      const known = groups.get(group)
      const spanMs = known ? Math.min(WINDOW_MS, now() - known.startedMs) : 0
      if (!known || spanMs < LEAST_MS) return null
      return (known.moves.reduce((sum, { by }) => sum + by, 0) * 1000) / spanMs
    },
  }
}
