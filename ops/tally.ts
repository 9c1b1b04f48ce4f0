/** Counts what the stages report, with the span in which they worked: what the demo and `up` show. */
import type { PipelineObserver } from './pipeline.ts'

export interface StageTally {
  /** By outcome: `emit`, `applied`, `unchanged`, `dead-letter`, … */
  readonly outcomes: Record<string, number>
  /** Error codes of records that failed. */
  readonly codes: Record<string, number>
  count: number
  firstMs: number
  lastMs: number
}

export interface Tally {
  readonly observer: PipelineObserver
  readonly stage: (name: string) => StageTally
  /** Rows inserted and deleted in tenant_knowledge. */
  readonly rows: { inserted: number; deleted: number; ignored: number }
}

export function createTally(now: () => number = Date.now): Tally {
  const stages = new Map<string, StageTally>()
  const rows = { inserted: 0, deleted: 0, ignored: 0 }

  function stage(name: string): StageTally {
    const known = stages.get(name)
    if (known) return known
    const fresh = { outcomes: {}, codes: {}, count: 0, firstMs: now(), lastMs: now() }
    stages.set(name, fresh)
    return fresh
  }
  function tell(name: string, outcome: string, tookMs: number) {
    const known = stages.has(name)
    const tally = stage(name)
    // The span starts when the first piece of work did, not when it ended.
    if (!known) tally.firstMs = now() - tookMs
    tally.lastMs = now()
    // A page that is tried again has not ended: counted, it would be done more often than it is there.
    if (outcome !== 'retry') tally.count += 1
    tally.outcomes[outcome] = (tally.outcomes[outcome] ?? 0) + 1
  }
  return {
    stage,
    rows,
    observer: {
      crawled: (_lease, { outcome }) => tell('crawler', outcome, 0),
      settled: (name, outcome, { ms, code }) => {
        if (name !== 'crawler') tell(name, outcome, ms)
        if (code) stage(name).codes[code] = (stage(name).codes[code] ?? 0) + 1
      },
      stored: (_stage, write, { inserted, deleted, ignored }) => {
        if (write.type !== 'page') return
        rows.inserted += inserted
        rows.deleted += deleted
        rows.ignored += ignored
      },
    },
  }
}

/** Pages a second over the stage's own span; 0 while nothing was done. */
export function rate({ count, firstMs, lastMs }: StageTally): number {
  return count === 0 ? 0 : count / Math.max(0.001, (lastMs - firstMs) / 1000)
}
