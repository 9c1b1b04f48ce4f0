/** What this instance does and what holds it back: one picture for the admin port, the metrics and commands. */
import { systemClock } from '../streams/runtime/ports.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { StageName } from '../streams/topology.ts'
import { createRateMeter } from './rate-meter.ts'
import type { RateMeter } from './rate-meter.ts'
import type { Throttle } from './throttle.ts'

export interface StageStatus {
  readonly stage: StageName
  readonly partitions: readonly PartitionStatus[]
  readonly lag: number
  /** Records settled a second over the last minute. */
  readonly perSecond: number
  /** Until the lag is worked off at that rate; null: not known, because nothing was settled lately. */
  readonly etaSeconds: number | null
  readonly oldestAgeSeconds: number
  readonly pausedSeconds: Readonly<Record<string, number>>
}

export interface PartitionStatus {
  readonly topic: string
  readonly partition: number
  readonly next: string
  readonly end: string
  readonly lag: number
  readonly inFlight: number
  /** Of the oldest record that was fetched and is not settled; null: there is none. */
  readonly oldestAgeSeconds: number | null
  readonly reasons: readonly { readonly reason: string; readonly sinceMs: number }[]
}

export interface Status {
  readonly stages: () => StageStatus[]
  readonly throttle: () => ReturnType<Throttle['figures']>
  /** An observer's `settled`: feeds the rates. */
  readonly settled: (stage: string) => void
}

export function createStatus(stages: () => readonly RunningStage[], throttle: Throttle, now = Date.now): Status {
  const meters = new Map<string, RateMeter>()
  const meterOf = (stage: string) => {
    const meter = meters.get(stage) ?? createRateMeter({ ...systemClock, now })
    meters.set(stage, meter)
    return meter
  }

  function statusOf(stage: RunningStage): StageStatus {
    const partitions = stage.partitions().map((one): PartitionStatus => {
      const { topic, partition, next, end, inFlight, oldestRecordMs, reasons } = one
      const lag = end > next ? Number(end - next) : 0
      const oldestAgeSeconds = oldestRecordMs === undefined ? null : Math.max(0, now() - oldestRecordMs) / 1000
      return { topic, partition, next: String(next), end: String(end), lag, inFlight, oldestAgeSeconds, reasons }
    })
    const lag = partitions.reduce((sum, one) => sum + one.lag, 0)
    const perSecond = meterOf(stage.name).perSecond()
    return {
      ...{ stage: stage.name, partitions, lag, perSecond },
      etaSeconds: lag === 0 ? 0 : perSecond > 0 ? lag / perSecond : null,
      oldestAgeSeconds: Math.max(0, ...partitions.map((one) => one.oldestAgeSeconds ?? 0)),
      pausedSeconds: Object.fromEntries(Object.entries(stage.pausedMs()).map(([reason, ms]) => [reason, ms / 1000])),
    }
  }
  return {
    stages: () => stages().map(statusOf),
    throttle: throttle.figures,
    settled: (stage) => meterOf(stage).add(1),
  }
}
