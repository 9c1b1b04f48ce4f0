/**
 * Dependencies that are away. A partition whose record met one pauses with reason `dependency`; no attempt of the record
 * is used up. After a growing wait ONE partition resumes as the probe, one record at a time; when a record of it
 * succeeds, the others follow one by one. Partitions that do not need the dependency never notice.
 */
import type { Dependency, DependencyUnavailable } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import type { Clock, Logger } from './ports.ts'

interface Outage {
  readonly sinceMs: number
  failures: number
  readonly waiting: Map<string, Assignment>
  cancelProbe: () => void
  /** Partitions that try; more than one when a try takes longer than probeMaxMs. */
  readonly probes: Set<Assignment>
}

export interface DependencyWatch {
  readonly unavailable: (assignment: Assignment, error: DependencyUnavailable) => void
  /** A record of this partition was settled: if it was the probe, the outage is over. */
  readonly succeeded: (assignment: Assignment) => void
  readonly outages: () => { dependency: Dependency; sinceMs: number; paused: number }[]
  readonly close: () => void
}

interface Dependencies {
  readonly scheduler: PauseScheduler
  readonly clock: Clock
  readonly logger: Logger
  readonly probeMinMs: number
  readonly probeMaxMs: number
  readonly random?: () => number
}

export function createDependencyWatch(deps: Dependencies): DependencyWatch {
  const { scheduler, clock, logger, probeMinMs, probeMaxMs, random = Math.random } = deps
  const outages = new Map<Dependency, Outage>()

  function scheduleProbe(dependency: Dependency, outage: Outage, retryAfterMs: number | undefined) {
    outage.cancelProbe()
    const ceiling = Math.min(probeMaxMs, probeMinMs * 2 ** Math.min(outage.failures - 1, 16))
    // Equal jitter: half the wait is certain, so that a probe never follows at once. The provider's own word wins.
    const waitMs = Math.max(retryAfterMs ?? 0, ceiling / 2 + (random() * ceiling) / 2)
    outage.cancelProbe = clock.after(waitMs, () => probe(dependency, outage))
  }
  function probe(dependency: Dependency, outage: Outage) {
    for (const [key, assignment] of outage.waiting) {
      outage.waiting.delete(key)
      if (!assignment.alive) {
        // A new assignment of the same partition inherits its pause, and nobody else would lift it.
        scheduler.lift(assignment.at, 'dependency')
        continue
      }
      outage.probes.add(assignment)
      assignment.probing = true
      scheduler.lift(assignment.at, 'dependency')
      // Its record may have gone meanwhile (an idle partition): then the next one is tried.
      outage.cancelProbe = clock.after(probeMaxMs, () => probe(dependency, outage))
      return
    }
    if ([...outage.probes].some(({ alive }) => alive)) {
      outage.cancelProbe = clock.after(probeMaxMs, () => probe(dependency, outage)) // a try is still under way
      return
    }
    outages.delete(dependency) // nobody waits any more: a rebalance took the partitions away
  }
  function over(dependency: Dependency, outage: Outage) {
    outage.cancelProbe()
    outages.delete(dependency)
    logger.info({ dependency, outageMs: clock.now() - outage.sinceMs }, 'dependency is back')
    for (const { at } of outage.waiting.values()) scheduler.lift(at, 'dependency')
  }
  return {
    unavailable: (assignment, error) => {
      if (!assignment.alive) return // else a late failure would pause the partition of the next assignment
      const { dependency, retryAfterMs } = error
      let outage = outages.get(dependency)
      if (!outage) {
        outage = { sinceMs: clock.now(), failures: 0, waiting: new Map(), cancelProbe: () => {}, probes: new Set() }
        outages.set(dependency, outage)
        logger.warn({ dependency, error: error.message }, 'dependency is away: pausing the partitions that need it')
      }
      const wasProbe = outage.probes.delete(assignment)
      const known = outage.waiting.has(partitionKey(assignment.at))
      outage.waiting.set(partitionKey(assignment.at), assignment)
      assignment.probing = false
      scheduler.pause(assignment.at, 'dependency')
      if (!wasProbe && (outage.failures > 0 || known)) return
      outage.failures += 1
      scheduleProbe(dependency, outage, retryAfterMs)
    },
    succeeded: (assignment) => {
      if (!assignment.probing) return
      assignment.probing = false
      for (const [dependency, outage] of [...outages]) if (outage.probes.has(assignment)) over(dependency, outage)
    },
    outages: () =>
      [...outages].map(([dependency, { sinceMs, waiting }]) => ({ dependency, sinceMs, paused: waiting.size })),
    close: () => {
      for (const { cancelProbe } of outages.values()) cancelProbe()
    },
  }
}
