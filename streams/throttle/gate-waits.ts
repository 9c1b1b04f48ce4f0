/** How long those in line have waited, by what held the first of them up. */
import type { Clock } from '../runtime/ports.ts'
import type { WaitReason } from './ports.ts'

export interface Waits {
  /** From now on this holds the line up; null: nobody waits. */
  readonly held: (reason: WaitReason | null) => void
  readonly reason: () => WaitReason | null
  readonly sums: () => Readonly<Record<WaitReason, number>>
}

export function createWaits({
  clock,
  onWait,
}: {
  clock: Clock
  onWait: ((reason: WaitReason, ms: number) => void) | undefined
}): Waits {
  const sums: Record<WaitReason, number> = { rate: 0, tenant: 0, slots: 0, adaptive: 0, cooldown: 0 }
  let current: WaitReason | null = null
  let sinceMs = 0

  function count() {
    if (current === null) return
    const nowMs = clock.now()
    const ms = Math.max(0, nowMs - sinceMs)
    sinceMs = nowMs
    sums[current] += ms
    if (ms > 0) onWait?.(current, ms)
  }
  return {
    held: (reason) => {
      if (reason === current) return
      count()
      if (current === null) sinceMs = clock.now()
      current = reason
    },
    reason: () => current,
    sums: () => {
      count()
      return { ...sums }
    },
  }
}
