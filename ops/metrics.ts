/** Counters that the stages feed. Names are public: `sluice_<noun>_<unit>`; labels come from small fixed sets. */
import { Counter, Registry, collectDefaultMetrics } from 'prom-client'
import { registerThrottleMetrics } from './throttle-metrics.ts'
import type { Status } from './status.ts'
import type { PipelineObserver } from './pipeline.ts'

export interface Metrics {
  readonly observer: PipelineObserver
  /** Prometheus' text format. */
  readonly text: () => Promise<string>
  readonly contentType: string
  /** From now on what the throttle does and how far the stages are is told too. */
  readonly follow: (status: Status) => void
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  // At its default of 10 ms the monitor of the event loop wakes an idle process 100 times a second: a third of its CPU.
  collectDefaultMetrics({ register: registry, prefix: 'sluice_process_', eventLoopMonitoringPrecision: 100 })
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `sluice_${name}_total`, help, labelNames, registers: [registry] })
  const records = counter('records_settled', 'Records settled, by stage and outcome.', ['stage', 'outcome'])
  const failures = counter('record_failures', 'Records that failed, by stage and error code.', ['stage', 'code'])
  const fetches = counter('pages_fetched', 'Pages that the crawler ended with, by outcome.', ['outcome'])
  const inserted = counter('chunks_inserted', 'Rows inserted into tenant_knowledge.')
  const ignored = counter('chunks_ignored', 'Rows that were there already and that the unique index ignored.')
  const deleted = counter('chunks_deleted', 'Rows deleted from tenant_knowledge.')
  const pauses = counter('partition_pauses', 'Times that a partition was paused, by stage and reason.', [
    'stage',
    'reason',
  ])
  const resumes = counter('partition_resumes', 'Times that a partition was resumed, by stage.', ['stage'])
  let status: Status | undefined
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    follow: (followed) => {
      status = followed
      registerThrottleMetrics(registry, followed)
    },
    observer: {
      settled: (stage, outcome, { code }) => {
        status?.settled(stage)
        records.inc({ stage, outcome })
        if (code) failures.inc({ stage, code })
      },
      stored: (_stage, write, result) => {
        if (write.type !== 'page') return
        inserted.inc(result.inserted)
        ignored.inc(result.ignored)
        deleted.inc(result.deleted)
      },
      paused: (stage, _at, reason) => pauses.inc({ stage, reason }),
      resumed: (stage) => resumes.inc({ stage }),
      crawled: (_lease, { outcome }) => fetches.inc({ outcome }),
    },
  }
}
