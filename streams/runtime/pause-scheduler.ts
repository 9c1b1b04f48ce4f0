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

export type PauseReason = 'rate' | 'tenant' | 'dependency' | 'retry-due' | 'operator' | 'offset-guard' | 'range-end'

/**
 * With one of these nothing of the partition may be worked on. The others only stop fetching: the window is full, and
 * what it holds goes on as fast as rates, tenants' limits and due times let it; or a replay has fetched its range.
 */
const blocking: ReadonlySet<PauseReason> = new Set(['dependency', 'operator', 'offset-guard'])

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
  /** Nothing of it may be worked on. */
  readonly isBlocked: (at: TopicPartition) => boolean
  readonly reasons: (at: TopicPartition) => { reason: PauseReason; sinceMs: number }[]
  /** Milliseconds that partitions were paused, summed over them, by reason; those that are paused now included. */
  readonly pausedMs: () => Readonly<Record<PauseReason, number>>
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

interface Held {
  readonly sinceMs: number
  readonly ends: boolean
  readonly cancel: () => void
}
interface Paused {
  readonly at: TopicPartition
  readonly reasons: Map<PauseReason, Held>
}

export function createPauseScheduler({
  consumer,
  clock,
  resumeGapMs,
  random = Math.random,
  ...on
}: Dependencies): PauseScheduler {
  const paused = new Map<string, Paused>()
  /** May not work: from the pause until it is woken, after the last of its blocking reasons has gone. */
  const blocked = new Set<Paused>()
  const waking: string[] = []
  const pastMs: Record<PauseReason, number> = {
    rate: 0,
    tenant: 0,
    dependency: 0,
    'retry-due': 0,
    operator: 0,
    'offset-guard': 0,
    'range-end': 0,
  }
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
    if (blocking.has(reason)) blocked.add(entry)
    if (!paused.has(key)) tell('pause', at)
    paused.set(key, entry)
    if (!before) on.onPause?.(at, reason)
  }
  function lift(at: TopicPartition, reason: PauseReason) {
    const entry = paused.get(partitionKey(at))
    const held = entry?.reasons.get(reason)
    if (!entry || !held) return
    count(reason, held)
    entry.reasons.delete(reason)
    if (entry.reasons.size > 0 && !(blocked.has(entry) && !hasBlocking(entry))) return
    waking.push(partitionKey(at))
    if (!cancelWake) wakeNext()
  }
  /** Wakes one partition now and the next after the gap (± half, so that instances do not march in step). */
  function wakeNext() {
    cancelWake = undefined
    for (let key = waking.shift(); key !== undefined; key = waking.shift()) {
      const entry = paused.get(key)
      if (!entry || hasBlocking(entry)) continue // forgotten, or paused again meanwhile
      const fetches = entry.reasons.size === 0
      if (!fetches && !blocked.has(entry)) continue
      if (fetches) {
        paused.delete(key)
        tell('resume', entry.at)
      }
      // Before its work goes on: that may lift others, which then wait for their turn.
      cancelWake = clock.after(resumeGapMs * (0.5 + random()), wakeNext)
      if (blocked.delete(entry) || fetches) on.onResume?.(entry.at)
      return
    }
  }
  function hasBlocking({ reasons }: Paused): boolean {
    for (const reason of reasons.keys()) if (blocking.has(reason)) return true
    return false
  }
  function count(reason: PauseReason, { sinceMs, cancel }: Held) {
    cancel()
    pastMs[reason] += clock.now() - sinceMs
  }
  function forget(key: string, entry: Paused) {
    for (const [reason, held] of entry.reasons) count(reason, held)
    paused.delete(key)
    blocked.delete(entry)
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
    isBlocked: (at) => {
      const entry = paused.get(partitionKey(at))
      return entry !== undefined && blocked.has(entry)
    },
    pausedMs: () => {
      const sums = { ...pastMs }
      for (const { reasons } of paused.values())
        for (const [reason, { sinceMs }] of reasons) sums[reason] += clock.now() - sinceMs
      return sums
    },
    reasons: (at) =>
      [...(paused.get(partitionKey(at))?.reasons ?? [])].map(([reason, { sinceMs }]) => ({ reason, sinceMs })),
    close: () => {
      cancelWake?.()
      for (const { reasons } of paused.values()) for (const { cancel } of reasons.values()) cancel()
    },
  }
}
