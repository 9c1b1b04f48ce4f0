import { stageNames } from '../../streams/topology.ts'
import { startAdmin } from '../admin.ts'
import { bringUp } from '../bring-up.ts'
import { readConfig } from '../config.ts'
import { foreground } from '../foreground.ts'
import { createLogger } from '../logger.ts'
import { createMetrics } from '../metrics.ts'
import { startPipeline } from '../pipeline.ts'
import { createStatus } from '../status.ts'
import { paint, note } from './output.ts'
import { startupReport } from './startup-report.ts'

/** `sluice up`: everything in this process and its children, until Ctrl-C. */
export function up(): Promise<never> {
  const config = readConfig()
  return foreground(
    async (life) => {
      const logger = createLogger(config.logLevel)
      const services = await bringUp(config, life, logger, startupReport())
      const metrics = createMetrics()
      const pipeline = await startPipeline(stageNames, { services, observer: metrics.observer, onFatal: life.fail })
      life.defer('stages', async () => {
        if (!(await pipeline.stop())) process.exitCode = 1
      })
      const status = createStatus(() => pipeline.stages, services.throttle)
      metrics.follow(status)
      const admin = await startAdmin({ ...config.admin, stages: pipeline.stages, metrics, status })
      life.defer('admin port', admin.close)
      note(
        `${paint('green', 'up')}: crawler, processor and chunker run; http://127.0.0.1:${admin.port}/metrics; Ctrl-C ends.`,
      )
      note('In another terminal:')
      note('  npx sluice crawl --tenant acme https://example.com/ --wait')
      note('  npx sluice search --tenant acme "your question"')
      await life.stopped
    },
    { codeOnSignal: 0 },
  )
}
