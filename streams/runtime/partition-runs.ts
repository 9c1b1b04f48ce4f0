/** The runs of all partitions that one stage of this process owns; one an assignment, closed when it is lost. */
import type { Assignment } from './assignments.ts'
import { createPartitionRun } from './partition-run.ts'
import type { PartitionRun, RunDependencies } from './run-ports.ts'
import type { TopicPartition } from './ports.ts'
import type { WaitFor } from './starts.ts'

export interface Runs {
  readonly of: (assignment: Assignment) => PartitionRun
  /** Ends the runs of partitions that were lost. */
  readonly closeLost: () => void
  readonly kick: (at: TopicPartition) => void
  readonly kickAll: () => void
  readonly idle: () => Promise<void>
  /** Longest that a record under way has been worked on, without what it stood at gates. */
  readonly longestWorkMs: () => number
  readonly stateOf: (assignment: Assignment) => RunState
}

export interface RunState {
  readonly inFlight: number
  /** Timestamp of the oldest record that was fetched and is not settled. */
  readonly oldestRecordMs: number | undefined
  /** Longest that a record under way has been worked on, without what it stood at gates. */
  readonly longestWorkMs: number
  /** undefined: nothing of it was fetched yet. */
  readonly movedMs: number | undefined
  readonly waits: readonly WaitFor[]
}

export function createRuns<Value extends { tenant_id: string }, Deps>(d: RunDependencies<Value, Deps>): Runs {
  const runs = new Map<Assignment, PartitionRun>()

  function closeLost() {
    for (const [assignment, run] of runs) {
      if (assignment.alive) continue
      run.close()
      runs.delete(assignment)
    }
  }
  return {
    of: (assignment) => {
      const known = runs.get(assignment)
      if (known) return known
      closeLost() // a partition that was claimed again has a new assignment
      const run = createPartitionRun(assignment, d)
      runs.set(assignment, run)
      return run
    },
    closeLost,
    kick: (at) => {
      for (const [assignment, run] of runs)
        if (assignment.at.topic === at.topic && assignment.at.partition === at.partition) run.kick()
    },
    kickAll: () => {
      for (const run of runs.values()) run.kick()
    },
    idle: async () => {
      await Promise.all([...runs.values()].map((run) => run.idle()))
    },
    longestWorkMs: () => Math.max(0, ...[...runs.values()].map((run) => run.longestWorkMs())),
    stateOf: (assignment) => {
      const run = runs.get(assignment)
      return {
        inFlight: run?.inFlight() ?? 0,
        oldestRecordMs: run?.oldestRecordMs(),
        longestWorkMs: run?.longestWorkMs() ?? 0,
        movedMs: run?.movedMs(),
        waits: run?.waits() ?? [],
      }
    },
  }
}
