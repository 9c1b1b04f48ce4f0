/**
 * Tells the fleet what the stages of this process do: soon after something changed, every 5 s at least. The pipeline never
 * waits for it. While Postgres is away nothing is told, and readers say `unreported`.
 */
import { hostname } from 'node:os'
import type { StageReport, StageReports } from '../../connectors/postgres/stage-reports.ts'
import { errorMessage } from '../../streams/errors.ts'
import type { Clock, Logger } from '../../streams/runtime/ports.ts'
import type { PartitionState, RunningStage } from '../../streams/runtime/run-stage.ts'
import type { Gate } from '../../streams/throttle/ports.ts'
import type { StageName } from '../../streams/topology.ts'
import { createRateMeter } from '../rate-meter.ts'
import type { RateMeter } from '../rate-meter.ts'

/** Changes are told after this; what has not changed after the second. */
const TELL_MS = 2_000
const REPEAT_MS = 5_000

interface Dependencies {
  readonly stages: () => readonly RunningStage[]
  readonly reports: StageReports
  /** Unique per process. */
  readonly instance: string
  readonly groupOf: (stage: StageName) => string
  /** Of the dependencies that the stage asks while it works. */
  readonly gates: { readonly embeddings: Gate; readonly database: Gate }
  readonly recordTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
}

export interface Reporter {
  /** An observer's `settled`: feeds the rates. */
  readonly settled: (stage: string) => void
  readonly start: () => void
  /** A clean end: takes back what was told. Best effort, within the reports' timeout. */
  readonly close: () => Promise<void>
}

const asks: Record<StageName, readonly (keyof Dependencies['gates'])[]> = {
  crawler: ['database'],
  processor: [],
  chunker: ['embeddings', 'database'],
}
const dependencyOf = { embeddings: 'embeddings', database: 'postgres' } as const

export function createReporter(d: Dependencies): Reporter {
  const { clock, logger, reports, instance } = d
  const meters = new Map<string, RateMeter>()
  /** Partitions of which nothing was fetched yet: since when they are known. */
  const knownSince = new WeakMap<object, number>()
  let told = ''
  let toldMs = -Infinity
  let underWay: Promise<void> = Promise.resolve()
  let isSilent = false
  let cancel = () => {}
  let closed = false

  function meterOf(stage: string): RateMeter {
    const meter = meters.get(stage) ?? createRateMeter(clock)
    meters.set(stage, meter)
    return meter
  }
  function reportOf(stage: RunningStage): StageReport {
    const since = new Map(stage.assignments().map((one) => [`${one.at.topic}/${one.at.partition}`, firstSeen(one)]))
    return {
      ...{ instance, host: hostname(), stage: stage.name, group: d.groupOf(stage.name) },
      perSecond: meterOf(stage.name).perSecond(),
      recordTimeoutMs: d.recordTimeoutMs,
      behind: asks[stage.name].map((gate) => {
        const { waiting, inFlight, heldBy } = d.gates[gate].figures()
        return { gate, dependency: dependencyOf[gate], waiting, inFlight, heldBy }
      }),
      partitions: stage.partitions().map((one) => partitionOf(one, since.get(`${one.topic}/${one.partition}`))),
    }
  }
  function firstSeen(assignment: object): number {
    const sinceMs = knownSince.get(assignment) ?? clock.now()
    knownSince.set(assignment, sinceMs)
    return sinceMs
  }
  function partitionOf(state: PartitionState, knownMs = clock.now()) {
    const ago = (ms: number) => Math.max(0, clock.now() - ms)
    const { topic, partition, next, inFlight, oldestRecordMs = null, longestWorkMs, movedMs = knownMs } = state
    return {
      ...{ topic, partition, next: String(next), inFlight, oldestRecordMs },
      longestWorkMs,
      movedAgoMs: ago(movedMs),
      pauses: state.reasons.map(({ reason, sinceMs }) => ({ reason, agoMs: ago(sinceMs) })),
      waits: state.waits,
      dependencies: state.dependencies,
    }
  }
  async function tell(): Promise<void> {
    const all = d.stages().map(reportOf)
    const shape = JSON.stringify(all, withoutTimes)
    if (all.length === 0 || (shape === told && clock.now() - toldMs < REPEAT_MS)) return
    try {
      await reports.write(all)
      ;[told, toldMs, isSilent] = [shape, clock.now(), false]
    } catch (error) {
      // Once: Postgres' being away is told by its circuit breaker already.
      if (!isSilent) logger.warn({ error: errorMessage(error) }, 'what this instance does cannot be told to others now')
      isSilent = true
    }
  }
  function next() {
    cancel = clock.after(TELL_MS, () => {
      underWay = tell().finally(() => {
        if (!closed) next()
      })
    })
  }
  return {
    settled: (stage) => meterOf(stage).add(1),
    start: () => {
      underWay = tell()
      next()
    },
    close: async () => {
      closed = true
      cancel()
      await underWay
      await reports.remove(instance).catch(() => {}) // it is swept later
    },
  }
}

/** What changes by itself is no news. */
const withoutTimes = (key: string, value: unknown) =>
  /AgoMs$|^agoMs$|^perSecond$|^longestWorkMs$/.test(key) ? undefined : value
