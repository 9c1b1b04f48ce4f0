/**
 * Partitions whose records met a dependency that is away: they pause with reason `dependency`, no attempt of a record is
 * used up, and those that do not need it never notice. One watch a process, over all its stages. What the breaker of the
 * dependency says decides when they go on: open, they wait; half-open and the probe is ours, ONE partition works, one
 * record at a time; closed, they come back one by one.
 */
import type { Dependency, DependencyUnavailable } from '../errors.ts'
import type { Assignment } from './assignments.ts'
import type { PauseScheduler } from './pause-scheduler.ts'
import { partitionKey } from './ports.ts'
import type { Clock, Logger, TopicPartition } from './ports.ts'

/** The part of a circuit breaker that is needed here; its state is one for the whole fleet. */
export interface Breaker {
  readonly state: () => {
    readonly kind: 'closed' | 'open' | 'half-open'
    readonly sinceMs: number
    /** Half-open: this process, and no other, tries. */
    readonly probeIsMine: boolean
  }
  readonly failed: (failure: { readonly message: string; readonly retryAfterMs?: number }) => void
  readonly succeeded: () => void
  /** A request leaves: the probe is used. */
  readonly sent: () => void
  readonly onChange: (call: () => void) => () => void
}

interface Waiting {
  readonly assignment: Assignment
  readonly scheduler: PauseScheduler
}

export interface StageWatch {
  readonly unavailable: (assignment: Assignment, error: DependencyUnavailable) => void
  /** A record of this partition was settled: if it was the probe, the outage is over. */
  readonly succeeded: (assignment: Assignment) => void
}

export interface DependencyWatch {
  readonly forStage: (scheduler: PauseScheduler) => StageWatch
  /** Partitions of this process wait for it. */
  readonly isWanted: (dependency: Dependency) => boolean
  /** What this partition waits for, or tries again for all. */
  readonly dependenciesOf: (at: TopicPartition) => Dependency[]
  readonly outages: () => { dependency: Dependency; sinceMs: number; paused: number }[]
  readonly close: () => void
}

interface Dependencies {
  readonly breakers: Readonly<Record<Dependency, Breaker>>
  /** Dependencies whose connector tells their breaker of every request; of the others, only records tell. */
  readonly reportedElsewhere: ReadonlySet<Dependency>
  readonly clock: Clock
  readonly logger: Logger
  /** While the breaker has not tripped, a partition tries again after this, ± half. */
  readonly pauseMs: number
  readonly random?: () => number
}

export function createDependencyWatch(d: Dependencies): DependencyWatch {
  const { breakers, clock, logger, pauseMs, random = Math.random } = d
  const waiting = new Map<Dependency, Map<string, Waiting>>()
  const probes = new Map<Dependency, Waiting>()
  const breaths = new Map<Dependency, { readonly dueMs: number; readonly cancel: () => void }>()

  const cancellations = (Object.keys(breakers) as Dependency[]).map((dependency) =>
    breakers[dependency].onChange(() => follow(dependency)),
  )

  function follow(dependency: Dependency) {
    const { kind, probeIsMine } = breakers[dependency].state()
    if (kind === 'closed') over(dependency)
    else if (kind === 'half-open' && probeIsMine) probe(dependency)
    else endProbe(dependency)
  }
  function probe(dependency: Dependency) {
    if (probes.get(dependency)?.assignment.alive) return
    for (const [key, one] of waiting.get(dependency) ?? []) {
      // Held by an operator: it would try nothing, and keep the fleet waiting.
      if (one.assignment.alive && isHeld(one)) continue
      waiting.get(dependency)!.delete(key)
      if (!one.assignment.alive) {
        // A new assignment of the same partition inherits its pause, and nobody else would lift it.
        one.scheduler.lift(one.assignment.at, 'dependency')
        continue
      }
      one.assignment.probing = true
      if (!d.reportedElsewhere.has(dependency)) breakers[dependency].sent()
      probes.set(dependency, one)
      return one.scheduler.lift(one.assignment.at, 'dependency')
    }
  }
  /** One timer a dependency, whatever number of records fails; only the dependency's own word makes it longer. */
  function breathe(dependency: Dependency, retryAfterMs = 0) {
    const breath = breaths.get(dependency)
    const dueMs = clock.now() + Math.max(retryAfterMs, breath ? 0 : pauseMs * (0.5 + random()))
    if (breath && breath.dueMs >= dueMs) return
    breath?.cancel()
    const end = () => {
      breaths.delete(dependency)
      if (breakers[dependency].state().kind === 'closed') over(dependency)
    }
    breaths.set(dependency, { dueMs, cancel: clock.after(dueMs - clock.now(), end) })
  }
  /** The probe failed, or was taken from us: its partition waits again. */
  function endProbe(dependency: Dependency) {
    const one = probes.get(dependency)
    probes.delete(dependency)
    if (one?.assignment.alive && one.assignment.probing) wait(dependency, one)
  }
  function wait(dependency: Dependency, one: Waiting) {
    const all = waiting.get(dependency) ?? new Map<string, Waiting>()
    waiting.set(dependency, all.set(partitionKey(one.assignment.at), one))
    one.assignment.probing = false
    one.scheduler.pause(one.assignment.at, 'dependency')
  }
  function over(dependency: Dependency) {
    const all = [...(waiting.get(dependency)?.values() ?? [])]
    const probed = probes.get(dependency)
    if (probed) probed.assignment.probing = false
    probes.delete(dependency)
    waiting.delete(dependency)
    if (all.length > 0) logger.info({ dependency, partitions: all.length }, 'dependency is back')
    for (const { assignment, scheduler } of all) scheduler.lift(assignment.at, 'dependency')
  }

  return {
    forStage: (scheduler) => ({
      unavailable: (assignment, error) => {
        if (!assignment.alive) return // else a late failure would pause the partition of the next assignment
        const { dependency, message, retryAfterMs } = error
        const breaker = breakers[dependency]
        if (!waiting.get(dependency)?.size)
          logger.warn({ dependency, error: message }, 'dependency is away: pausing the partitions that need it')
        if (probes.get(dependency)?.assignment === assignment) probes.delete(dependency)
        wait(dependency, { assignment, scheduler })
        if (!d.reportedElsewhere.has(dependency))
          breaker.failed({ message, ...(retryAfterMs !== undefined && { retryAfterMs }) })
        if (breaker.state().kind === 'closed')
          // One failure is no outage: this partition alone takes a breath. With ± half, partitions do not march in step.
          breathe(dependency, retryAfterMs)
        else follow(dependency)
      },
      succeeded: (assignment) => {
        if (!assignment.probing) return
        for (const [dependency, one] of probes)
          if (one.assignment === assignment && !d.reportedElsewhere.has(dependency)) breakers[dependency].succeeded()
      },
    }),
    isWanted: (dependency) =>
      [...(waiting.get(dependency)?.values() ?? [])].some((one) => one.assignment.alive && !isHeld(one)),
    dependenciesOf: (at) => {
      const key = partitionKey(at)
      const waits = [...waiting].filter(([, all]) => all.has(key)).map(([dependency]) => dependency)
      const tries = [...probes].filter(([, { assignment }]) => partitionKey(assignment.at) === key)
      return [...new Set([...waits, ...tries.map(([dependency]) => dependency)])]
    },
    outages: () =>
      [...waiting]
        .filter(([, all]) => all.size > 0)
        .map(([dependency, all]) => ({ dependency, sinceMs: breakers[dependency].state().sinceMs, paused: all.size })),
    close: () => {
      for (const cancel of cancellations) cancel()
      for (const { cancel } of breaths.values()) cancel()
    },
  }
}

const isHeld = ({ scheduler, assignment }: Waiting) =>
  scheduler.reasons(assignment.at).some(({ reason }) => reason === 'operator')
