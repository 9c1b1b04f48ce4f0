/** The partitions that this process owns, one by one: nothing is asked of anybody for it. */
import type { RunningStage } from '../../streams/runtime/run-stage.ts'
import type { Families } from './families.ts'

type Stages = () => readonly RunningStage[]
type PartitionState = ReturnType<RunningStage['partitions']>[number]

export function registerPartitions({ gauge }: Families, stages: Stages, now: () => number): void {
  const labels = ['stage', 'topic', 'partition']
  function perPartition(name: string, unit: string, help: string, read: (state: PartitionState) => number | undefined) {
    gauge({ name, unit, help, labels }, (set) => {
      for (const stage of stages())
        for (const state of stage.partitions()) {
          const value = read(state)
          if (value !== undefined)
            set({ stage: stage.name, topic: state.topic, partition: String(state.partition) }, value)
        }
    })
  }
  perPartition('partition_lag_records', 'records', 'Records not settled.', ({ end, next }) =>
    end > next ? Number(end - next) : 0,
  )
  perPartition(
    'partition_oldest_record_age_seconds',
    'seconds',
    'Age of the oldest record that was fetched and not settled; 0: there is none.',
    ({ oldestRecordMs }) => (oldestRecordMs === undefined ? 0 : Math.max(0, now() - oldestRecordMs) / 1000),
  )
  perPartition(
    'partition_watermark_gap_records',
    'records',
    'Records settled above the oldest unfinished one: a crash would deliver them again.',
    ({ settledAhead }) => settledAhead,
  )
  perPartition(
    'partition_commit_age_seconds',
    'seconds',
    'Since an offset was committed last, or the partition was assigned. It grows while there is nothing to do.',
    ({ committedAtMs }) => Math.max(0, now() - committedAtMs) / 1000,
  )
  gauge(
    {
      name: 'partition_held',
      unit: '1',
      help: 'Why a partition is paused, or waits for a limit, a paused tenant or a next attempt; absent: nothing holds it.',
      labels: [...labels, 'reason'],
    },
    (set) => {
      for (const stage of stages())
        for (const state of stage.partitions())
          for (const reason of heldBy(state))
            set({ stage: stage.name, topic: state.topic, partition: String(state.partition), reason }, 1)
    },
  )
  gauge(
    {
      name: 'heartbeat_age_seconds',
      unit: 'seconds',
      help: 'Since the broker last answered a heartbeat; absent: no member of the group.',
      labels: ['stage'],
    },
    (set) => {
      for (const stage of stages()) {
        const ageMs = stage.heartbeatAgeMs()
        if (ageMs !== undefined) set({ stage: stage.name }, ageMs / 1000)
      }
    },
  )
  gauge(
    {
      name: 'stage_alive',
      unit: '1 or 0',
      help: 'What /healthz says of a stage: 0, its loop stands still or a record hangs.',
      labels: ['stage'],
    },
    (set) => {
      for (const stage of stages()) set({ stage: stage.name }, stage.isAlive() ? 1 : 0)
    },
  )
}

/** Work may wait on purpose while fetching goes on. Not `slots`: that is this process at its capacity. */
const heldBy = ({ reasons, waits }: PartitionState): ReadonlySet<string> =>
  new Set([...reasons.map(({ reason }) => reason), ...waits.filter((one) => one !== 'slots')])
