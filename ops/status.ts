/** What this instance does and what holds it back: one picture for the admin port, the metrics and commands. */
import { setTimeout as sleep } from 'node:timers/promises'
import { partitionKey, systemClock } from '../streams/runtime/ports.ts'
import type { RunningStage } from '../streams/runtime/run-stage.ts'
import type { StageName } from '../streams/topology.ts'
import type { LagSource } from './lag/source.ts'
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
  /** At once, and as far as this process knows: a paused partition fetches nothing, so its end stands still. */
  readonly stages: () => StageStatus[]
  /** The same with the ends of the logs as the broker has them, unless it is away. */
  readonly current: () => Promise<StageStatus[]>
  readonly throttle: () => ReturnType<Throttle['figures']>
  /** An observer's `settled`: feeds the rates. */
  readonly settled: (stage: string) => void
}

interface Options {
  readonly lag?: Pick<LagSource, 'rows'>
  readonly now?: () => number
}

/** A broker that is away holds up nobody who asks how things are. */
const BROKER_MS = 2_000

export function createStatus(
  stages: () => readonly RunningStage[],
  throttle: Throttle,
  { lag: source, now = Date.now }: Options = {},
): Status {
  const meters = new Map<string, RateMeter>()
  const meterOf = (stage: string) => {
    const meter = meters.get(stage) ?? createRateMeter({ ...systemClock, now })
    meters.set(stage, meter)
    return meter
  }

  /** By topic and partition; empty: the broker is away, or nobody asks it. */
  async function endsOf(): Promise<ReadonlyMap<string, bigint>> {
    const rows = source?.rows().catch(() => [])
    const known = await Promise.race([rows ?? [], sleep(BROKER_MS, [], { ref: false })])
    return new Map(known.map((row) => [partitionKey(row), BigInt(row.end)]))
  }
  function statusOf(stage: RunningStage, ends?: ReadonlyMap<string, bigint>): StageStatus {
    const partitions = stage.partitions().map((one): PartitionStatus => {
      const { topic, partition, next, inFlight, oldestRecordMs, reasons } = one
      const asked = ends?.get(partitionKey(one)) ?? 0n
      const end = asked > one.end ? asked : one.end
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
    stages: () => stages().map((stage) => statusOf(stage)),
    current: async () => {
      const ends = await endsOf()
      return stages().map((stage) => statusOf(stage, ends))
    },
    throttle: throttle.figures,
    settled: (stage) => meterOf(stage).add(1),
  }
}
