/** The reporter of a running pipeline, with a connection of its own: one, which waits for nobody and keeps nobody waiting. */
import { createPostgres } from '../../connectors/postgres/client.ts'
import { createStageReports } from '../../connectors/postgres/stage-reports.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import type { RunningStage } from '../../streams/runtime/run-stage.ts'
import { topology } from '../../streams/topology.ts'
import type { Services } from '../services.ts'
import { createReporter } from './reporter.ts'
import type { Reporter } from './reporter.ts'

export function createPipelineReporter(services: Services, stages: () => readonly RunningStage[]): Reporter {
  const { config, throttle, logger } = services
  const db = createPostgres({ ...config.postgres, poolMax: 1 }, config.embeddings.dimensions)
  const reporter = createReporter({
    stages,
    reports: createStageReports({ db }),
    instance: throttle.control.instance,
    groupOf: (stage) => config.topicPrefix + topology[stage].group,
    gates: throttle.gates,
    recordTimeoutMs: config.runtime.recordTimeoutMs,
    clock: systemClock,
    logger,
  })
  return {
    ...reporter,
    close: async () => {
      await reporter.close()
      await db.destroy()
    },
  }
}
