/**
 * The sole caller of a consumer's pause and resume. A partition is paused while it has at least one reason; reasons are
 * a set, so they commute: whoever adds one takes away only that one. Partitions resume one at a time.
 *
 * kafkajs keeps its paused state over rebalances, also for a partition lost and regained, and loses it on a crash
 * restart: hence `reconcile` at every assignment. Partitions are always named: pausing a whole topic and then one
 * partition un-pauses the others.
 */
import { partitionKey } from './ports.ts'
import type { Clock, TopicPartition } from './ports.ts'

export type PauseReason = 'rate' | 'tenant' | 'dependency' | 'retry-due' | 'operator' | 'offset-guard'

export interface PausableConsumer {
  readonly pause: (partitions: { topic: string; partitions: number[] }[]) => void
  readonly resume: (partitions: { topic: string; partitions: number[] }[]) => void
}

export interface PauseScheduler {
  /** A new assignment: every partition of it starts paused for `reason`; state of others is forgotten. */
  readonly reconcile: (assigned: readonly TopicPartition[], reason: PauseReason) => void
  /** `forMs`: the reason ends by itself; it never shortens one that has no end. */
  readonly pause: (at: TopicPartition, reason: PauseReason, forMs?: number) => void
  readonly lift: (at: TopicPartition, reason: PauseReason) => void
  readonly isPaused: (at: TopicPartition) => boolean
  readonly reasons: (at: TopicPartition) => { reason: PauseReason; sinceMs: number }[]
  readonly close: () => void
}

interface Dependencies {
  readonly consumer: PausableConsumer
  readonly clock: Clock
  /** Between two resumes, so that partitions do not come back as one burst. */
  readonly resumeGapMs: number
  readonly random?: () => number
  readonly onPause?: (at: TopicPartition, reason: PauseReason) => void
  readonly onResume?: (at: TopicPartition) => void
}

interface Paused {
  readonly at: TopicPartition
  readonly reasons: Map<PauseReason, { sinceMs: number; ends: boolean; cancel: () => void }>
}

export function createPauseScheduler({
  consumer,
  clock,
  resumeGapMs,
  random = Math.random,
  ...on
}: Dependencies): PauseScheduler {
  const paused = new Map<string, Paused>()
  const waking: string[] = []
  let cancelWake: (() => void) | undefined

  const never = () => {}

  function tell(what: 'pause' | 'resume', { topic, partition }: TopicPartition) {
    try {
      consumer[what]([{ topic, partitions: [partition] }])
    } catch {
      // Between a crash and its restart kafkajs has no group and throws, here in a timer. Nothing is fetched meanwhile,
      // and the next assignment reconciles.
    }
  }

  function pause(at: TopicPartition, reason: PauseReason, forMs?: number) {
    const key = partitionKey(at)
    const entry: Paused = paused.get(key) ?? { at, reasons: new Map() }
    const before = entry.reasons.get(reason)
    const ends = forMs !== undefined
    if (before && !before.ends && ends) return
    before?.cancel()
    const cancel = ends ? clock.after(forMs, () => lift(at, reason)) : never
    entry.reasons.set(reason, { sinceMs: before?.sinceMs ?? clock.now(), ends, cancel })
    if (!paused.has(key)) tell('pause', at)
    paused.set(key, entry)
    if (!before) on.onPause?.(at, reason)
  }
  function lift(at: TopicPartition, reason: PauseReason) {
    const entry = paused.get(partitionKey(at))
    entry?.reasons.get(reason)?.cancel()
    if (!entry?.reasons.delete(reason) || entry.reasons.size > 0) return
    waking.push(partitionKey(at))
    if (!cancelWake) wakeNext()
  }
  /** Wakes one partition now and the next after the gap (± half, so that instances do not march in step). */
  function wakeNext() {
    cancelWake = undefined
    for (let key = waking.shift(); key !== undefined; key = waking.shift()) {
      const entry = paused.get(key)
      if (!entry || entry.reasons.size > 0) continue // forgotten, or paused again meanwhile
      paused.delete(key)
      tell('resume', entry.at)
      on.onResume?.(entry.at)
      cancelWake = clock.after(resumeGapMs * (0.5 + random()), wakeNext)
      return
    }
  }
  function forget(key: string, entry: Paused) {
    for (const { cancel } of entry.reasons.values()) cancel()
    paused.delete(key)
    tell('resume', entry.at) // else a partition regained later would stay paused in kafkajs, silently
  }
  return {
    reconcile: (assigned, reason) => {
      for (const [key, entry] of [...paused]) forget(key, entry)
      for (const at of assigned) pause(at, reason)
    },
    pause,
    lift,
    isPaused: (at) => paused.has(partitionKey(at)),
    reasons: (at) =>
      [...(paused.get(partitionKey(at))?.reasons ?? [])].map(([reason, { sinceMs }]) => ({ reason, sinceMs })),
    close: () => {
      cancelWake?.()
      for (const { reasons } of paused.values()) for (const { cancel } of reasons.values()) cancel()
    },
  }
}
